/**
 * Seen failing: with a deadline that only the poll looks at, both the read and the stop hang; with positions of an older generation
 * that are always reached, the writer of a stream that is parked in the newer one is shown its older row.
 */
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { createRecordingLogger } from '@portolan/infra/testing/recording-logger.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import pg from 'pg'
import { createReadModels } from './read-models.ts'

describe('a waiting read while the database is silent', () => {
  it('is refused after its wait, and does not hold up the end of the process', async () => {
    const pool = Object.assign(new pg.Pool(), { query: () => new Promise<never>(() => {}) })
    const deps = { pool, logger: createRecordingLogger(), metrics: createMetrics('test') }
    const models = createReadModels(deps, { waitMs: 30, pollMs: 5 })
    const wanted = {
      models: ['ledger'] as const,
      tenantId: null,
      positions: { generation: 1, positions: { [topics.bookings]: { '0': 1 } } },
      isToken: false,
    }
    const refusal = await models.waitFor(wanted).catch((error: unknown) => error)
    expect(refusal).to.have.property('code', 'read-model-behind')
    await models.stop()
  })
})

describe('a read by somebody who wrote before the log was republished', () => {
  const parked = {
    tenant_id: 'teahouse',
    stream: 'booking-stuck',
    topic: topics.bookings,
    partition: 0,
    position: 7,
    age_seconds: 1,
  }
  const row = {
    name: 'booking_list',
    positions: [{ topic: topics.bookings, generation: 2, partition: 0, position: 9 }],
    parked: [parked],
    age_seconds: 0,
  }
  const pool = Object.assign(new pg.Pool(), { query: async () => ({ rows: [row] }) })

  /** Whether what was written in the first generation counts as shown. */
  async function isShown(streams: string[] | undefined, shown: { stream?: string; tenantId?: string } = {}) {
    const deps = { pool, logger: createRecordingLogger(), metrics: createMetrics('test') }
    const models = createReadModels(deps, { waitMs: 30, pollMs: 5 })
    const positions = { generation: 1, positions: { [topics.bookings]: { '0': 3 } }, streams }
    const wanted = { models: ['booking_list'] as const, tenantId: 'teahouse', ...shown, positions, isToken: false }
    const refusal = await models.waitFor(wanted).catch((error: unknown) => error)
    await models.stop()
    if (refusal !== undefined) expect(refusal).to.have.property('code', 'read-model-behind')
    return refusal === undefined
  }

  it('is refused what is parked of it by now, and nothing else', async () => {
    expect(await isShown(['booking-stuck'])).to.equal(false)
    expect(await isShown(['booking-free'])).to.equal(true)
    expect(await isShown(undefined), 'any may have been written').to.equal(false)
    expect(await isShown(['booking-stuck'], { stream: 'booking-stuck' })).to.equal(false)
    expect(await isShown(['booking-stuck'], { stream: 'booking-free' })).to.equal(true)
    expect(await isShown(['booking-stuck'], { tenantId: 'coffeechain' }), 'of another tenant').to.equal(true)
  })
})
