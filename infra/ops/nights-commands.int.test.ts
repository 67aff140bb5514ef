/**
 * `stays rebuild-nights` over real rows, run as an operator runs it; what it makes of a history is tested where the history is made.
 *
 * Seen failing: with the rule read before the lock; with a transaction that is not committed.
 */
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { reservationStream } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import pg from 'pg'
import type { Arguments } from './command.ts'
import type { Connections } from './connect.ts'
import { nightsCommands } from './nights-commands.ts'

describe('npm run ops -- stays rebuild-nights', () => {
  let database: TestDatabase
  let write: pg.Client
  let other: pg.Client
  let position = 0

  before(async () => {
    database = await testDatabase('write')
    write = new pg.Client(database.adminUrl)
    other = new pg.Client(database.adminUrl)
    await Promise.all([write.connect(), other.connect()])
    await write.query('set default_transaction_read_only = on')
  })
  after(async () => {
    await Promise.all([write?.end(), other?.end()])
    await database?.drop()
  })

  const run = () => {
    const args = { values: [], tenant: undefined, limit: 100 } as Partial<Arguments> as Arguments
    return nightsCommands[0]?.run({ write } as Partial<Connections> as Connections, args)
  }
  /** A reservation in the log, as command-api appends it. */
  async function reserved(reservationId: string, startDate: string, nights: number): Promise<void> {
    position += 1
    await other.query(
      `insert into events values ('stays.events.v1', 0, $1, gen_random_uuid(), 'stays', $2, 1, 'StayReserved', 1, $3, '{}', now())`,
      [
        position,
        reservationStream(reservationId),
        { reservationId, propertyId: 'villa', startDate, nights, holder: 'somebody', at: '2026-01-01T00:00:00.000Z' },
      ],
    )
  }
  const taken = async () => (await other.query('select month, taken from stay_months order by month')).rows

  it('has nothing to do before anybody has reserved', async () => {
    expect((await run())?.notes).to.deep.equal(['nobody has reserved yet: nothing was done'])
  })

  it('makes the months what the log says, by the rule that they are kept by, and says how many were not', async () => {
    await other.query(`insert into stay_rules values ('stays', 'closed')`)
    await reserved('r1', '2027-05-31', 1)
    expect((await run())?.notes).to.deep.equal(['2 months or properties were not as the log says (rule closed)'])
    expect(await taken()).to.deep.equal([
      { month: 2027 * 12 + 4, taken: 2 ** 30 },
      { month: 2027 * 12 + 5, taken: 1 },
    ])
    expect((await run())?.notes).to.deep.equal(['every month and property was as the log says (rule closed)'])
  })

  it('takes the rule that a process which is starting puts in its place', async () => {
    await other.query('begin')
    await other.query(`select change_stay_rule('stays', 'nights')`)
    const running = run()
    await eventually(
      async () =>
        (await other.query('select from pg_locks where not granted and relation = $1::regclass', ['stay_months']))
          .rowCount === 1,
    )
    await other.query('commit')
    expect((await running)?.notes).to.deep.equal(['every month and property was as the log says (rule nights)'])
  })

  it('names what was sold twice, and is not content', async () => {
    await reserved('r2', '2027-05-30', 3)
    const { rows, isGood } = (await run()) ?? {}
    expect(isGood).to.equal(false)
    expect(rows).to.deep.equal([
      {
        property: 'villa',
        first: 'r2',
        from: '2027-05-30',
        nights: 3,
        second: 'r1',
        second_from: '2027-05-31',
        second_nights: 1,
      },
    ])
  })
})
