/**
 * P2, P4, P7, P8 and P9 when the write database is lost and an older backup is restored into another server, while everything else goes
 * on: the relay refuses, nothing is called, an operator republishes the log, and from then on everything works. What happened in the time
 * that was lost is listed, and nothing of it happens twice.
 *
 * Seen failing: with a relay that never compares Kafka with the store; with bookings that are not marked when the log is republished.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { promisify } from 'node:util'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expectLedgerBalanced } from '@portolan/infra/testing/ledger.ts'
import { expect } from 'chai'
import { findPostgresBin, startOwnPostgres } from '../launch/own-postgres.ts'
import { type OwnServer, stopOwnServer } from '../launch/own-server.ts'
import { query } from './busy-log.ts'
import type { FlightChoice, Member } from './member.ts'
import { runOps } from './run-ops.ts'
import { type Staff, signIn } from './staff.ts'
import { type System, startSystem } from './system.ts'

const run = promisify(execFile)
const opening = 5_000_000
const reason = 'the partner’s statement says so'
const dear = { cabinClass: 'business', minAmount: 50_001, maxAmount: 2_000_000 }

describe('P9: an older backup in another server', function () {
  this.timeout(120_000)
  let folder: string
  let server: OwnServer
  let system: System
  let staff: Staff

  before(async function () {
    this.timeout(120_000)
    folder = mkdtempSync('/var/tmp/portolan-republish-')
    await run('chmod', ['755', folder])
    server = await startServer('old')
    system = await startSystem({
      commandApis: 2,
      writeServerUrl: server.url,
      env: { PROJECTIONS_VERSIONS_POLL_MS: '200', STEP_WINDOW_MS: '120000', RELAY_POLL_MS: '200' },
    })
    staff = await signIn(system)
  })
  after(async () => {
    await system?.stop()
    await stopOwnServer(`${folder}/new`).catch(() => undefined)
    await stopOwnServer(`${folder}/old`).catch(() => undefined)
    rmSync(folder, { recursive: true })
  })

  const startServer = (name: string, port?: number) =>
    startOwnPostgres({ dir: `${folder}/${name}`, ...(port ? { port } : {}), settings: { shared_buffers: '64MB' } })

  async function backUp(): Promise<string> {
    const file = `${folder}/backup.dump`
    const args = ['--format=custom', '--create', `--file=${file}`, `--dbname=${system.writeDatabase.adminUrl}`]
    await run(`${await findPostgresBin()}/pg_dump`, args)
    return file
  }

  /** The old server is gone; a freshly initialised one at its address holds the backup. */
  async function restoreElsewhere(file: string): Promise<void> {
    await stopOwnServer(`${folder}/old`)
    server = await startServer('new', Number(new URL(server.url).port))
    // Roles belong to the server and are in no database's dump.
    await query(server.url, 'create role portolan_command_api nologin')
    const args = ['--create', '--exit-on-error', `--dbname=${server.url}`, file]
    await run(`${await findPostgresBin()}/pg_restore`, args)
  }

  const readinessOf = async ({ url }: { url: string }) =>
    (await (await fetch(`${url}/health/ready`)).json()) as { parts: Record<string, boolean> }
  const statusIs = (member: Member, bookingId: string, status: string) =>
    eventually(async () => expect((await member.get(bookingId)).body.data?.status).to.equal(status), {
      withinMs: 30_000,
      everyMs: 100,
    })
  const booked = async (member: Member, search = {}, headers = {}) => {
    const flight = await member.findFlight(search)
    const answer = await member.book(flight, headers)
    expect(answer.status, JSON.stringify(answer.body)).to.be.oneOf([201, 202])
    return { member, flight, token: answer.token ?? '', bookingId: answer.body.data.booking_id as string }
  }
  /** A flight that is paid before it is ordered: no supplier says in time that it is booked already. */
  async function unheldFlight(member: Member): Promise<FlightChoice> {
    await member.search()
    const [found] = await query(
      system.writeDatabase.adminUrl,
      `select flight_id, price->>'loyaltyAmount' as amount, price->>'loyaltyCurrency' as currency from offers
       where member_id = '${member.memberId}' and not (offer->>'holdable')::boolean and (price->>'loyaltyAmount')::integer <= 50000
       limit 1`,
    )
    if (!found?.flight_id) throw new Error('every flight can be held')
    return { flightId: found.flight_id, amount: Number(found.amount), currency: found.currency ?? '' }
  }
  const inQueue = (bookingId: string, step: string) =>
    eventually(
      async () => {
        const { outcomes } = (await staff.read('unknown-outcomes?tenantId=teahouse&limit=200')).body
        const entry = outcomes.find((row: { bookingId: string }) => row.bookingId === bookingId)
        expect(entry, JSON.stringify(outcomes)).to.include({ needsDecision: true, step })
        return entry as { step: string; attempt: number }
      },
      { withinMs: 20_000, everyMs: 200 },
    )
  const decide = async (bookingId: string, decision: string, extra = {}) => {
    const answer = await staff.decide('teahouse', bookingId, 'decide-outcome', { decision, reason, ...extra })
    expect(answer.status, JSON.stringify(answer.body)).to.equal(200)
  }
  const effects = async () => ({
    partner: (await system.coffeechain.counters()).effects,
    supplier: (await system.duffel.counters()).effects,
  })
  /** Requests of workers for a claim that both command-apis have answered with a 503 so far. */
  async function refusedClaims(): Promise<number> {
    const metrics = await Promise.all(system.commandApis.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()))
    const isRefusal = (line: string) =>
      line.startsWith('portolan_http_request_duration_seconds_count') &&
      line.includes('route="/internal/attempts/start"') &&
      line.includes('status="5xx"')
    const lines = metrics.flatMap((text) => text.split('\n').filter(isRefusal))
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }
  const relayHasSent = () =>
    eventually(async () => {
      const { out } = await runOps(system, 'lag', '--json')
      const relay = JSON.parse(out).find((row: { reader: string }) => row.reader === 'relay')
      expect(relay.behind).to.equal(0)
    })

  it('is noticed, republished, and does nothing twice', async () => {
    const [cancelled, approved, stuck, untouched, lost] = await Promise.all(
      Array.from({ length: 5 }, () => system.newMember({ balance: opening })),
    )
    if (!cancelled || !approved || !stuck || !untouched || !lost) throw new Error('no members')

    // What the backup holds.
    const toCancel = await booked(cancelled)
    const kept = await booked(untouched)
    const toApprove = await booked(approved, dear)
    await system.coffeechain.setFaults([
      {
        operation: 'deduct',
        match: { memberId: stuck.memberId },
        times: 1000,
        effect: 'skip',
        answer: { status: 503 },
      },
    ])
    const open = await booked(stuck, {}, { Prefer: 'respond-async' })
    await eventually(async () => {
      const rows = await query(
        system.writeDatabase.adminUrl,
        `select from open_steps where stream = 'booking-${open.bookingId}' and step = 'deduct'`,
      )
      expect(rows).to.have.length(1)
    })
    const lostFlight = await unheldFlight(lost)
    const backup = await backUp()

    // The time that is lost.
    await system.coffeechain.clearFaults()
    expect((await cancelled.cancel(toCancel.bookingId)).status).to.equal(200)
    await staff.decide('teahouse', toApprove.bookingId, 'approve')
    await statusIs(approved, toApprove.bookingId, 'confirmed')
    await statusIs(stuck, open.bookingId, 'confirmed')
    const key = { 'Idempotency-Key': randomUUID() }
    const gone = await lost.book(lostFlight, key)
    expect(gone.status).to.equal(201)
    await relayHasSent()
    const before = await effects()

    await restoreElsewhere(backup)

    // Refused, and said so: no claim is granted.
    await eventually(async () => expect((await readinessOf(system.relay)).parts.log).to.equal(false), {
      withinMs: 20_000,
    })
    // The restored store believes that a deduction is due, and the sweep hands it to a worker again and again.
    const refused = await refusedClaims()
    await eventually(async () => expect(await refusedClaims()).to.be.at.least(refused + 3), { withinMs: 20_000 })
    expect(await effects()).to.deep.equal(before)
    // Nothing ends either: what has ended would not be doubted any more.
    const early = await untouched.cancel(kept.bookingId)
    expect(early.status, JSON.stringify(early.body)).to.equal(503)
    const tooEarly = await staff.decide('teahouse', toApprove.bookingId, 'reject', { reason })
    expect(tooEarly.status, JSON.stringify(tooEarly.body)).to.equal(503)
    const statement = await runOps(system, 'log', 'republish', 'the disk failed')
    expect(statement.code, statement.said).to.equal(1)
    expect(statement.said).to.match(/lacks \d+ events of \d+ streams/)
    expect(statement.said).to.match(/Nothing was done/)
    const listed = await runOps(system, 'log', 'lost', '--limit', '1000')
    expect(listed.out).to.include(`booking-${gone.body.data.booking_id}`)
    expect(listed.out).to.include(`booking-${toCancel.bookingId}`)

    const republished = await runOps(system, 'log', 'republish', 'the disk failed', '--yes')
    expect(republished.code, republished.said).to.equal(0)
    expect(republished.said).to.match(/sent: 100 % of \d+ events, \d+ events\/s/)
    expect((await readinessOf(system.relay)).parts.log).to.equal(true)

    // A booking that needs nothing doubts nothing.
    const fresh = await booked(await system.newMember({ balance: opening }))
    await statusIs(fresh.member, fresh.bookingId, 'confirmed')
    const read = await fresh.member.get(fresh.bookingId, { 'Consistency-Token': fresh.token })
    expect(read.status, JSON.stringify(read.body)).to.equal(200)
    // What a token of the older generation names may be lost: that is said instead of an answer that looks as if it were not.
    const old = await untouched.get(kept.bookingId, { 'Consistency-Token': kept.token })
    expect(old.status, JSON.stringify(old.body)).to.equal(400)
    await eventually(async () => {
      const { out } = await runOps(system, 'lag', '--json')
      const dispatch = JSON.parse(out).find(({ reader }: { reader: string }) => reader === 'workers.dispatch')
      expect(dispatch).to.include({ status: 'from Kafka', behind: 0 })
    })

    // A cancellation that the store has forgotten: the order is gone already, so a person says whether the refund was made.
    await cancelled.cancel(toCancel.bookingId, {}, { Prefer: 'wait=1' })
    await inQueue(toCancel.bookingId, 'refund')
    await decide(toCancel.bookingId, 'happened')
    await statusIs(cancelled, toCancel.bookingId, 'cancelled')
    expect(await system.coffeechain.balance(cancelled.memberId)).to.equal(opening)

    // One whose order still stands was not cancelled before, so nothing is asked.
    expect((await untouched.cancel(kept.bookingId)).status).to.equal(200)
    expect(await system.coffeechain.balance(untouched.memberId)).to.equal(opening)

    // A forgotten approval: approved again, deducted and ordered once.
    await staff.decide('teahouse', toApprove.bookingId, 'approve')
    await inQueue(toApprove.bookingId, 'deduct')
    await decide(toApprove.bookingId, 'happened')
    await statusIs(approved, toApprove.bookingId, 'confirmed')
    expect(await system.coffeechain.balance(approved.memberId)).to.equal(opening - toApprove.flight.amount)

    // A deduction that stood open, and was made in the lost time.
    await inQueue(open.bookingId, 'deduct')
    await decide(open.bookingId, 'happened')
    await statusIs(stuck, open.bookingId, 'confirmed')
    expect(await system.coffeechain.balance(stuck.memberId)).to.equal(opening - open.flight.amount)

    // The same request once more, which the store has forgotten: an operator sees that it was paid for.
    const again = await lost.book(lostFlight, { ...key, Prefer: 'wait=1' })
    const repeated: string = again.body.data?.booking_id ?? again.body.error?.booking_id
    expect(repeated, JSON.stringify(again.body)).to.be.a('string')
    await inQueue(repeated, 'deduct')
    await decide(repeated, 'did-not-happen')
    await statusIs(lost, repeated, 'failed')
    expect(await system.coffeechain.balance(lost.memberId)).to.equal(opening - lostFlight.amount)

    const after = await effects()
    expect(after.partner.refund, 'refunds').to.equal((before.partner.refund ?? 0) + 1)
    expect(after.partner.deduct, 'deductions').to.equal((before.partner.deduct ?? 0) + 1)
    await expectLedgerBalanced(system.readDatabase.adminUrl)
    for (const name of ['booking_details', 'booking_list', 'ledger', 'stays', 'tenants']) {
      const rebuilt = await runOps(system, 'rebuild', name)
      expect(rebuilt.code, `${name}: ${rebuilt.said} ${rebuilt.out}`).to.equal(0)
    }
  })
})
