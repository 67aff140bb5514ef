/**
 * P6's overdue holds: with every worker stopped, the command that meets an approval or a hold whose time is over by the database's clock
 * records its expiry in its own transaction, so that stopped workers lock nothing up; the workers clear up when they are back.
 *
 * Seen failing: with the positions of a refused command not noted, so that the member still reads the booking as pending. That the expiry is
 * left out or lost with a refusal, overdue.unit.test.ts of command-api was seen to catch.
 */
import { randomUUID } from 'node:crypto'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expectLedgerBalanced } from '@portolan/infra/testing/ledger.ts'
import { startProcess } from '@portolan/infra/testing/start-process.ts'
import { expect } from 'chai'
import pg from 'pg'
import type { Member } from './member.ts'
import { type Staff, signIn } from './staff.ts'
import { coffeechain, type System, startSystem } from './system.ts'

const opening = 400_000
const holdable = { origin: 'JFK', destination: 'EWR' }

describe('what is overdue while the workers are stopped', function () {
  this.timeout(60_000)
  let system: System
  let staff: Staff
  before(async function () {
    this.timeout(120_000)
    system = await startSystem({ env: { APPROVAL_TTL_MS: '4000' }, sandboxEnv: { SANDBOX_HOLD_TTL_SECONDS: '5' } })
    staff = await signIn(system)
  })
  after(async () => {
    await system?.workers[0]?.stop()
    await system?.stop()
  })

  const factsOf = async (bookingId: string): Promise<string[]> => {
    const client = new pg.Client({ connectionString: system.writeDatabase.adminUrl })
    await client.connect()
    const sql = `select type from events where stream = $1 and type !~ '^(Step|Attempt)' order by stream_version`
    const { rows } = await client.query<{ type: string }>(sql, [`booking-${bookingId}`])
    await client.end()
    return rows.map(({ type }) => type)
  }
  const untilPast = async (bookingId: string, type: string, field: string) => {
    const client = new pg.Client({ connectionString: system.writeDatabase.adminUrl })
    await client.connect()
    const sql = `select (data ->> $3)::timestamptz < clock_timestamp() - interval '200 ms' as past from events where stream = $1 and type = $2`
    await eventually(
      async () => {
        const { rows } = await client.query<{ past: boolean }>(sql, [`booking-${bookingId}`, type, field])
        expect(rows[0]?.past).to.equal(true)
      },
      { withinMs: 15_000 },
    ).finally(() => client.end())
  }
  /** A held booking whose deduction does not get through, so that its hold runs out. */
  async function heldBooking(member: Member): Promise<string> {
    const match = { memberId: member.memberId }
    await system.coffeechain.setFaults([{ operation: 'deduct', match, effect: 'skip', answer: { status: 503 } }])
    const answer = await member.book(await member.findFlight(holdable), { Prefer: 'respond-async' })
    const { booking_id } = answer.body.data
    await eventually(async () => expect(await factsOf(booking_id)).to.include('HoldPlaced'), { withinMs: 10_000 })
    return booking_id
  }

  it('expires inside the command that meets it, and never comes back', async () => {
    const approver = await system.newMember({ balance: opening, tenant: coffeechain })
    const dear = { origin: 'JFK', destination: 'LHR', cabinClass: 'business', minAmount: 50_001, maxAmount: opening }
    const flights = await Promise.all([approver.findFlight(dear), approver.findFlight(dear)])
    const holder = await system.newMember({ balance: opening })
    const held = await heldBooking(holder)
    const asked = await Promise.all(flights.map((flight) => approver.book(flight)))
    const pending = asked.map(({ body }): string => body.data.booking_id)
    const [worker] = system.workers
    if (!worker) throw new Error('no worker')
    await worker.stop()
    const [first = '', second = ''] = pending
    await untilPast(first, 'ApprovalRequested', 'expiresAt')
    await untilPast(second, 'ApprovalRequested', 'expiresAt')
    await untilPast(held, 'HoldPlaced', 'payBy')

    const key = { 'Idempotency-Key': randomUUID() }
    const approved = await staff.decide('coffeechain', first, 'approve', {}, key)
    expect(approved.status, JSON.stringify(approved.body)).to.equal(409)
    expect(approved.body.detail).to.equal(`The approval of booking '${first}' has expired`)
    expect((await staff.decide('coffeechain', first, 'approve', {}, key)).body.detail).to.equal(approved.body.detail)
    expect(await factsOf(first)).to.deep.equal(['BookingRequested', 'ApprovalRequested', 'BookingExpired'])
    const cancelled = await approver.cancel(second)
    expect(cancelled.status).to.equal(409)
    expect(await factsOf(second)).to.deep.equal(['BookingRequested', 'ApprovalRequested', 'BookingExpired'])
    expect((await approver.get(second)).body.data.status, 'the read follows').to.equal('expired')

    const given = await holder.cancel(held, {}, { Prefer: 'respond-async' })
    expect(given.status, JSON.stringify(given.body)).to.equal(202)
    expect((await factsOf(held)).slice(-2)).to.deep.equal(['CompensationStarted', 'CancellationRequested'])

    const env = { ...system.envOf.workers, WORKERS_PORT: new URL(worker.url).port }
    system.workers[0] = await startProcess({ name: 'workers again', entry: 'workers/src/main.ts', env })
    await eventually(async () => expect((await factsOf(held)).at(-1)).to.equal('BookingCancelled'), {
      withinMs: 20_000,
    })
    expect(await factsOf(first)).to.have.length(3)
    expect(await system.coffeechain.balance(holder.memberId)).to.equal(opening)
    await eventually(() => expectLedgerBalanced(system.readDatabase.adminUrl))
  })
})
