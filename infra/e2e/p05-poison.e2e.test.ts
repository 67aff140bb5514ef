/**
 * P5: a poisoned event stops its own stream only. On a log of one partition, where everybody stands behind everybody:
 * - a read model refuses one booking's confirmed row, as under a faulty release;
 * - the ledger refuses one member's deductions; ten bookings and cancellations later twenty-one of their events wait;
 * - dispatch meets a step of a version it does not know, with twenty steps of the same stream behind it.
 * Everybody else's paid bookings are confirmed, shown and in the ledger as soon as before: the 99th percentile of a hundred is
 * printed, and below three times what it was and a second. A retry applies what waits, in order.
 *
 * Seen failing: with the followers of a parked stream applied instead of parked (the ticket is lost for good); with the batch
 * given up as a whole (nobody's bookings show); with dispatch dropping a parked stream's events when a retry is asked for
 * (its steps never come); with a park that cannot be recorded passed over (the step is lost).
 */
import { randomUUID } from 'node:crypto'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expectLedgerBalanced } from '@portolan/infra/testing/ledger.ts'
import { startProcess } from '@portolan/infra/testing/start-process.ts'
import { memberAccountStream, topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Member } from './member.ts'
import { runOps } from './run-ops.ts'
import { signIn } from './staff.ts'
import { type System, startSystem } from './system.ts'

/** Of others, in each run. */
const samples = 100

/** In ms, of bookings that are paid for. */
interface Delays {
  /** From the request to the confirmation: dispatch and the workers. */
  confirmed: number[]
  /** From there to the detail and the list. */
  shown: number[]
  /** From there to the ledger's lines. */
  inLedger: number[]
}

const p99 = (all: number[]) => Math.round(all.toSorted((a, b) => a - b)[Math.ceil(0.99 * all.length) - 1] ?? 0)

function stopwatch(): () => number {
  const startedAt = performance.now()
  return () => performance.now() - startedAt
}

describe('P5: an event that cannot be applied', function () {
  this.timeout(120_000)
  let system: System
  let read: pg.Client
  let write: pg.Client
  let others: Member[]
  let accessToken: string
  let unpoisoned: Delays

  before(async () => {
    system = await startSystem({
      env: { PROJECTIONS_VERSIONS_POLL_MS: '100', LOG_PARTITIONS: '1', READ_WAIT_MS: '3000', SWEEP_EVERY_MS: '60000' },
    })
    ;[read, write] = [new pg.Client(system.readDatabase.adminUrl), new pg.Client(system.writeDatabase.adminUrl)]
    await Promise.all([read.connect(), write.connect()])
    others = await Promise.all([1, 2, 3].map(() => system.newMember({ balance: 1_000_000_000 })))
    accessToken = (await signIn(system)).accessToken
    await delaysOfOthers(15) // warms the processes up
    unpoisoned = await delaysOfOthers()
  })
  after(async () => {
    await read?.end()
    await write?.end()
    await system?.workers[0]?.stop() // a test starts another in its place, which the system does not know
    await system?.stop()
  })

  /** Other members book, pay and read, several at once. Rejects when anything is refused or missing. */
  async function delaysOfOthers(count = samples): Promise<Delays> {
    const delays: Delays = { confirmed: [], shown: [], inLedger: [] }
    let begun = 0
    const bookOnAndOn = async (member: Member) => {
      while (begun < count) {
        begun += 1
        await bookAndRead(member, delays)
      }
    }
    await Promise.all(others.map(bookOnAndOn))
    return delays
  }

  async function bookAndRead(member: Member, delays: Delays): Promise<void> {
    const flight = await member.findFlight()
    const requested = stopwatch()
    const booked = await member.book(flight)
    delays.confirmed.push(requested())
    expect(booked.status, JSON.stringify(booked.body)).to.equal(201)
    const { booking_id, status } = booked.body.data
    expect(status).to.equal('confirmed')
    const headers = { 'Consistency-Token': booked.token ?? '' }
    const answered = stopwatch()
    const [bookings] = await Promise.all([
      Promise.all([member.get(booking_id, headers), member.list('?limit=1', headers)]).finally(() =>
        delays.shown.push(answered()),
      ),
      readLedger(member, booking_id, headers).finally(() => delays.inLedger.push(answered())),
    ])
    const [detail, list] = bookings
    expect([detail.status, list.status]).to.deep.equal([200, 200])
    expect(list.body.data.bookings[0].booking_id).to.equal(booking_id)
  }

  /** Until both sides of the deduction are there. The token is of the booking's stream; the lines come from the account's. */
  async function readLedger({ tenantId }: Member, bookingId: string, token: Record<string, string>): Promise<void> {
    const url = `${system.queryApis[0]?.url}/ops/ledger?tenantId=${tenantId}&bookingId=${bookingId}`
    const headers = { ...token, Authorization: `Bearer ${accessToken}` }
    await eventually(async () => {
      const answer = await fetch(url, { headers })
      const { lines } = (await answer.json()) as { lines?: unknown[] }
      expect([answer.status, lines?.length]).to.deep.equal([200, 2])
    })
  }

  /** Prints every delay of others with and without a parked stream, and expects what it parks to cost them nothing. */
  function expectNoDelay(unpoisoned: Delays, poisoned: Delays, what: string): void {
    for (const name of ['confirmed', 'shown', 'inLedger'] as const) {
      const [without, beside] = [p99(unpoisoned[name]), p99(poisoned[name])]
      console.log(`      others' p99 until ${name}: ${without} ms; beside ${what}: ${beside} ms`)
      expect(poisoned[name].length).to.be.at.least(samples)
      // A consumer that waited for a parked stream would keep others for longer; a busy machine is slow in both runs.
      expect(beside, `until ${name}`).to.be.below(3 * without + 1000)
    }
  }

  describe('by a read model', () => {
    let unlucky: Member
    let bookingId: string

    before(async () => {
      unlucky = await system.newMember({ balance: 1_000_000 })
      await read.query(
        `alter table booking_details_1.booking_details add constraint broken_release check (member_id <> '${unlucky.memberId}' or status <> 'confirmed')`,
      )
    })

    it('parks its stream and lets everything else flow', async () => {
      const booked = await unlucky.book(await unlucky.findFlight())
      expect(booked.status, JSON.stringify(booked.body)).to.equal(201)
      bookingId = booked.body.data.booking_id
      expectNoDelay(unpoisoned, await delaysOfOthers(), 'a parked booking')
      // The member's own list comes from another read model, which applied everything.
      expect((await unlucky.list()).body.data.bookings[0]).to.include({ booking_id: bookingId, status: 'confirmed' })
      const parked = await runOps(system, 'parked')
      expect(parked.out).to.match(new RegExp(`booking_details\\.v1 +teahouse +booking-${bookingId} .*broken_release`))
      expect(parked.out.trim().split('\n')).to.have.length(2)
      const metrics = await (await fetch(`${system.projections[0]?.url}/metrics`)).text()
      expect(metrics).to.match(/portolan_parked_streams{consumer="booking_details.v1".*} 1/)
    })

    it('is not passed off as the newest state meanwhile', async () => {
      expect((await unlucky.get(bookingId)).status).to.equal(503)
      const operators = await signIn(system)
      const { status, headers } = await operators.read(`tenants/teahouse/bookings/${bookingId}`)
      expect(status).to.equal(200)
      expect(Number(headers.get('x-read-model-age'))).to.be.greaterThan(1)
    })

    it('takes its followers with it, and a retry without a repair changes nothing', async () => {
      expect((await unlucky.cancel(bookingId)).body.data.status).to.equal('cancelled')
      await eventually(async () => expect((await unlucky.list()).body.data.bookings[0].status).to.equal('cancelled'))
      const again = await runOps(system, 'retry', 'booking_details.v1', `booking-${bookingId}`)
      expect(again.code).to.equal(1)
      expect(again.said).to.include('broken_release')
    })

    it('is applied with its followers in order once the release is repaired and the retry is asked for', async () => {
      await read.query('alter table booking_details_1.booking_details drop constraint broken_release')
      const retried = await runOps(system, 'retry', 'booking_details.v1', `booking-${bookingId}`)
      expect(retried.code, retried.said).to.equal(0)
      const { status, body } = await unlucky.get(bookingId)
      expect(status).to.equal(200)
      expect(body.data).to.include({ status: 'cancelled' })
      expect(body.data.passengers[0].ticket_number).to.match(/^\d{13}$/)
      expect((await runOps(system, 'parked')).out).to.equal('nothing is parked\n')
      await expectLedgerBalanced(system.readDatabase.adminUrl)
    })
  })

  describe('by the ledger', () => {
    it('makes twenty later ones of its member wait, and nobody else', async () => {
      const unlucky = await system.newMember({ balance: 1_000_000_000 })
      const stream = memberAccountStream(unlucky.memberId)
      const isRefused = `member_id = '${unlucky.memberId}' and kind = 'deduction'`
      await read.query(`alter table ledger_1.ledger_lines add constraint broken_release check (not (${isRefused}))`)
      const [poisoned] = await Promise.all([delaysOfOthers(), moveBothWays(unlucky, 10)])
      expect((await unlucky.book(await unlucky.findFlight())).status).to.equal(201)
      expectNoDelay(unpoisoned, poisoned, 'a parked member account')
      const [row] = await eventually(async () => {
        const rows = JSON.parse((await runOps(system, 'parked', '--json')).out)
        expect(rows).to.have.length(1)
        expect(rows[0].events).to.equal(21)
        return rows
      })
      expect(row).to.include({ consumer: 'ledger.v1', stream })

      await read.query('alter table ledger_1.ledger_lines drop constraint broken_release')
      expect((await runOps(system, 'retry', 'ledger.v1', stream)).code).to.equal(0)
      const { rows } = await read.query(
        `select kind, amount::int from ledger_1.ledger_lines where member_id = $1 and line = 1 order by stream_version`,
        [unlucky.memberId],
      )
      const kinds = rows.map(({ kind }) => kind)
      expect(kinds).to.deep.equal(Array.from({ length: 21 }, (_, n) => (n % 2 === 0 ? 'deduction' : 'refund')))
      await expectLedgerBalanced(system.readDatabase.adminUrl)
    })

    async function moveBothWays(member: Member, times: number): Promise<void> {
      for (let n = 0; n < times; n += 1) {
        const booked = await member.book(await member.findFlight())
        expect(booked.status, JSON.stringify(booked.body)).to.equal(201)
        const cancelled = await member.cancel(booked.body.data.booking_id)
        expect(cancelled.body.data?.status, JSON.stringify(cancelled.body)).to.equal('cancelled')
      }
    }
  })

  describe('by dispatch', () => {
    const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379')
    after(() => redis.disconnect())

    /** Near enough for dispatch to put it into the queue, and not due before the test has looked. */
    const ahead = () => new Date(Date.now() + 55_000).toISOString()
    /** A step ahead, as a command would have requested it; with a version nobody knows, nobody can read it. */
    const step = (stream: string, attempt: number, schemaVersion = 1) => {
      const at = ahead()
      return {
        command: 1,
        topic: topics.bookings,
        partition: 0,
        event_id: randomUUID(),
        tenant_id: 'teahouse',
        stream,
        stream_version: attempt,
        type: 'StepRequested',
        schema_version: schemaVersion,
        data: {
          step: 'approval-expiry',
          attempt,
          dueAt: at,
          deadline: at,
          input: { bookingId: stream, memberId: 'TH1' },
        },
        metadata: { correlationId: stream, causationId: null, actor: { kind: 'service', id: 'test' } },
      }
    }
    const append = (...events: ReturnType<typeof step>[]) =>
      write.query('select commit_events($1, array[1])', [JSON.stringify(events)])
    const parkedOf = async (stream: string): Promise<{ events: number; attempts: number } | undefined> => {
      const rows = JSON.parse((await runOps(system, 'parked', '--json')).out)
      return rows.find((row: { stream: string }) => row.stream === stream)
    }
    /** Attempts of the stream's jobs in the queue, in the order in which they were put there; those of one millisecond in their own. */
    async function queued(stream: string): Promise<number[]> {
      const prefix = `${system.env.REDIS_KEY_PREFIX}jobs:steps:`
      const keys = await redis.keys(`${prefix}*${stream}*`)
      const jobs = await Promise.all(keys.map((key) => redis.hgetall(key)))
      return jobs
        .filter(({ data }) => data !== undefined)
        .map(({ data, timestamp }) => ({ attempt: Number(JSON.parse(data ?? '').attempt), addedAt: Number(timestamp) }))
        .sort((a, b) => a.addedAt - b.addedAt || a.attempt - b.attempt)
        .map(({ attempt }) => attempt)
    }
    /** What a release does that knows the version; the steps still lie ahead, as far as the queue takes them. */
    const learnVersion = (stream: string) =>
      write.query(
        `update parked_events
         set envelope = jsonb_set(jsonb_set(envelope, '{schemaVersion}', '1'), '{data,dueAt}', to_jsonb($2::text))
         where stream = $1`,
        [stream, ahead()],
      )

    it('makes twenty steps of its stream wait, nobody else’s, and a retry takes them up in order', async () => {
      const stream = `booking-bkg_${randomUUID()}`
      await append(step(stream, 1, 99), ...Array.from({ length: 20 }, (_, n) => step(stream, n + 2)))
      await eventually(async () =>
        expect(await parkedOf(stream)).to.include({ consumer: 'workers.dispatch', events: 21 }),
      )
      // Nothing is swept here for a minute: a booking is confirmed only if dispatch goes on.
      expectNoDelay(unpoisoned, await delaysOfOthers(), 'a parked step')
      expect(await queued(stream)).to.deep.equal([])
      await eventually(async () => {
        const metrics = await (await fetch(`${system.workers[0]?.url}/metrics`)).text()
        expect(metrics).to.match(/portolan_parked_streams{consumer="workers.dispatch".*} 1/)
      })

      const again = await runOps(system, 'retry', 'workers.dispatch', stream)
      expect(again.code, again.said).to.equal(1)
      expect(await parkedOf(stream)).to.include({ events: 21, attempts: 2 })
      await learnVersion(stream)
      const retried = await runOps(system, 'retry', 'workers.dispatch', stream)
      expect(retried.code, retried.said).to.equal(0)
      expect(await queued(stream)).to.deep.equal(Array.from({ length: 21 }, (_, n) => n + 1))
    })

    it('is kept when the process that retries it is killed', async () => {
      const stream = `booking-bkg_${randomUUID()}`
      await append(step(stream, 1, 99), step(stream, 2), step(stream, 3))
      await eventually(async () => expect(await parkedOf(stream)).to.include({ events: 3 }))
      await learnVersion(stream)
      await system.workers[0]?.stop()
      const doomed = await startProcess({
        name: 'doomed workers',
        entry: 'workers/src/main.ts',
        env: { ...system.envOf.workers, KILL_POINT: 'after-dispatch' },
      })
      const retrying = runOps(system, 'retry', 'workers.dispatch', stream)
      expect(await doomed.exited, 'killed between handling and settling').to.equal(null)
      expect(await parkedOf(stream)).to.include({ events: 3 })
      const { port } = new URL(system.workers[0]?.url ?? '')
      system.workers[0] = await startProcess({
        name: 'workers',
        entry: 'workers/src/main.ts',
        env: { ...system.envOf.workers, WORKERS_PORT: port },
      })
      await retrying
      await eventually(async () => expect(await parkedOf(stream)).to.equal(undefined), { withinMs: 30_000 })
      expect(await queued(stream)).to.deep.equal([1, 2, 3])
    })

    it('holds its partition while it cannot be parked, and loses nothing', async () => {
      const stream = `booking-bkg_${randomUUID()}`
      const next = `booking-bkg_${randomUUID()}`
      for (const commandApi of system.commandApis) commandApi.pause()
      await append(step(stream, 1, 99), step(stream, 2), step(next, 1))
      const refused = () => system.workers[0]?.logs.some((line) => /batch not applied/.test(line))
      await eventually(() => expect(refused()).to.equal(true), { withinMs: 20_000 })
      expect(await queued(next)).to.deep.equal([])
      const { rows } = await write.query('select from parked_events where stream = $1', [stream])
      expect(rows).to.deep.equal([])
      for (const commandApi of system.commandApis) commandApi.resume()
      await eventually(async () => expect(await queued(next)).to.deep.equal([1]), { withinMs: 30_000 })
      expect(await parkedOf(stream)).to.include({ events: 2 })
    })
  })
})
