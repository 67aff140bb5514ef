import { expect } from 'chai'
import { deleteKafkaData } from './kafka-data.ts'
import { Obstacle } from './say.ts'

const foreign = ['bookings.events.v10', 'bookings.events.v1.copy', 'payments', 'portolan.tenants.events.v1']
const foreignGroups = ['workers.payroll', 'projections.prices.v1', 'projections.ledger.v1.copy', 'query-api.x']

/** A Kafka that remembers what it was asked to delete. */
function kafkaWith(topics: string[], groups: string[], busy?: Error) {
  const deleted: string[] = []
  const kafka = {
    listTopics: async () => topics,
    listGroups: async () => groups,
    deleteTopics: async (names: readonly string[]) => void deleted.push(...names),
    deleteGroups: async (names: readonly string[]) => {
      if (busy) throw busy
      deleted.push(...names)
    },
  }
  return { kafka, deleted }
}

describe('the reset of Kafka', () => {
  it('deletes our topics and groups by their exact names, and nobody else’s', async () => {
    const { kafka, deleted } = kafkaWith(
      ['bookings.events.v1', 'tenants.events.v1', ...foreign],
      ['workers.dispatch', 'projections.ledger.v12', ...foreignGroups],
    )
    expect(await deleteKafkaData(kafka, '')).to.deep.equal(['bookings.events.v1', 'tenants.events.v1'])
    expect(deleted).to.have.members([
      'bookings.events.v1',
      'tenants.events.v1',
      'workers.dispatch',
      'projections.ledger.v12',
    ])
  })

  it('deletes every generation of the log with its marker', async () => {
    const ours = ['bookings.events.v1', 'bookings.events.v1.g2', 'log.g2']
    const { kafka, deleted } = kafkaWith(
      [...ours, 'log.gx', 'my.log.g2', 'payments.g2'],
      ['workers.dispatch.g2', 'workers.payroll.g2'],
    )
    expect(await deleteKafkaData(kafka, '')).to.deep.equal(ours)
    expect(deleted).to.have.members([...ours, 'workers.dispatch.g2'])
  })

  it('with a prefix leaves what lacks it', async () => {
    const { kafka, deleted } = kafkaWith(
      ['bookings.events.v1', 'portolan.bookings.events.v1'],
      ['workers.dispatch', 'portolan.workers.dispatch'],
    )
    await deleteKafkaData(kafka, 'portolan.')
    expect(deleted).to.have.members(['portolan.bookings.events.v1', 'portolan.workers.dispatch'])
  })

  it('says in one sentence that a group is in use, and deletes no topic then', async () => {
    const { kafka, deleted } = kafkaWith(['bookings.events.v1'], ['workers.dispatch'], new Error('not empty'))
    const refusal = await deleteKafkaData(kafka, '').catch((error: unknown) => error)
    expect(refusal).to.be.instanceOf(Obstacle)
    expect(deleted).to.deep.equal([])
  })
})
