/**
 * P8 over all of its cases: every call that moves stars or orders × how its answer was lost × whether it had happened × what can be read
 * afterwards. Each ends by a look-up, by an exact comparison of balances, or with a person before its deadline; a person's decision ends the
 * rest, and a wrong decision is corrected. In the end the partner, the supplier and the ledger agree about every member.
 *
 * One system, a member per case, all at once. `after` is done when the call is seen to have arrived.
 *
 * Each rule was seen failing where it is decided: reconciliation.unit.test.ts, corrections.unit.test.ts and random-corrections.unit.test.ts of
 * command-api name the sabotages. This file shows that the real parts keep them together.
 */
import { createServiceClient } from '@portolan/infra/http/client.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expectLedgerBalanced } from '@portolan/infra/testing/ledger.ts'
import { startProcess } from '@portolan/infra/testing/start-process.ts'
import { expect } from 'chai'
import pg from 'pg'
import { bookingRequest, type FlightChoice, type Member } from './member.ts'
import type { FaultRule } from './sandbox-control.ts'
import { type Staff, signIn } from './staff.ts'
import { type System, startSystem } from './system.ts'

const opening = 400_000
const reconcileWindowMs = 9000
const pollWindowMs = 6000
const bookedTogether = 12
/** What the last look may take: its own time-out, and a machine that does fifty of them at once. */
const lookMs = 5000
type Lost = 'timeout' | '500' | 'cut' | '202'
type Step = 'place-hold' | 'deduct' | 'issue-tickets' | 'cancel-order' | 'refund'

interface Case {
  step: Step
  /** The tickets are paid for an order that was held before, not ordered and paid in one. */
  isHeld?: boolean
  lost: Lost
  happened: boolean
  /** What stands in the way of finding out; absent: nothing. */
  unreadable?: 'balance moved otherwise' | 'orders cannot be read'
  /** Where it ends; `operator`: with a person, who then says what is true. */
  ends: 'confirmed' | 'failed' | 'cancelled' | 'operator'
}

const lost: readonly Lost[] = ['timeout', '500', 'cut']
const both = [true, false]
const readable = (step: Step, ifHappened: Case['ends'], ifNot: Case['ends']): Case[] =>
  lost.flatMap((how) =>
    both.map((happened): Case => ({ step, lost: how, happened, ends: happened ? ifHappened : ifNot })),
  )
const cases: readonly Case[] = [
  ...readable('deduct', 'confirmed', 'failed'),
  ...both.map((happened): Case => ({ step: 'deduct', lost: '202', happened, ends: happened ? 'confirmed' : 'failed' })),
  ...both.map((happened): Case => {
    return { step: 'deduct', lost: 'timeout', happened, unreadable: 'balance moved otherwise', ends: 'operator' }
  }),
  ...readable('place-hold', 'confirmed', 'failed'),
  ...readable('issue-tickets', 'confirmed', 'failed'),
  { step: 'issue-tickets', lost: '202', happened: true, ends: 'confirmed' },
  { step: 'issue-tickets', lost: '202', happened: false, ends: 'operator' },
  ...readable('issue-tickets', 'confirmed', 'failed').map((one): Case => ({ ...one, isHeld: true })),
  { step: 'issue-tickets', isHeld: true, lost: '202', happened: true, ends: 'confirmed' },
  { step: 'issue-tickets', isHeld: true, lost: '202', happened: false, ends: 'operator' },
  ...both.map((happened): Case => {
    return { step: 'issue-tickets', lost: '500', happened, unreadable: 'orders cannot be read', ends: 'operator' }
  }),
  ...readable('cancel-order', 'cancelled', 'cancelled'),
  ...readable('refund', 'cancelled', 'cancelled'),
  ...both.map((happened): Case => {
    return { step: 'refund', lost: '500', happened, unreadable: 'balance moved otherwise', ends: 'operator' }
  }),
]

const answers: Record<Lost, FaultRule['answer']> = {
  timeout: 'hang',
  '500': { status: 500 },
  cut: 'reset',
  '202': { status: 202, body: {} },
}
const operations: Record<Step, string> = {
  'place-hold': 'orders.create',
  deduct: 'deduct',
  'issue-tickets': 'orders.create',
  'cancel-order': 'order_cancellations.confirm',
  refund: 'refund',
}

describe('P8: calls whose outcome nobody knows', function () {
  this.timeout(120_000)
  let system: System
  let staff: Staff
  before(async () => {
    system = await startSystem({
      env: {
        RECONCILE_WINDOW_MS: String(reconcileWindowMs),
        POLL_WINDOW_MS: String(pollWindowMs),
        STEP_WINDOW_MS: '30000',
        // One member's trouble must not close the door for the others.
        BREAKER_FAILURES: '100000',
        PARTNER_CONCURRENCY: '100',
        SUPPLIER_CONCURRENCY: '100',
        STEP_CONCURRENCY: '200',
      },
      sandboxEnv: { SANDBOX_ASYNC_DELAY_SECONDS: '1' },
    })
    staff = await signIn(system)
  })
  after(async () => {
    await system?.workers[0]?.stop()
    await system?.stop()
  })

  async function sql<T extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<T[]> {
    const client = new pg.Client({ connectionString: system.writeDatabase.adminUrl })
    await client.connect()
    try {
      return (await client.query<T>(text, values)).rows
    } finally {
      await client.end()
    }
  }

  const detail = async (bookingId: string) => (await staff.read(`tenants/teahouse/bookings/${bookingId}`)).body
  const reaches = (bookingId: string, status: string) =>
    eventually(async () => expect((await detail(bookingId)).status, bookingId).to.equal(status), {
      withinMs: 40_000,
      everyMs: 400,
    })
  const queued = (bookingId: string) =>
    eventually(
      async () => {
        const { trouble } = await detail(bookingId)
        expect(trouble?.needsDecision, `${bookingId} waits for a person`).to.equal(true)
        return trouble
      },
      { withinMs: 40_000, everyMs: 400 },
    )

  /** A held fare, or one that is ordered when it is paid, and the supplier's id of its offer. */
  async function choose(member: Member, holdable: boolean): Promise<FlightChoice & { offerId: string }> {
    const found = await member.search(holdable ? { origin: 'JFK', destination: 'EWR' } : {})
    expect(found.status, JSON.stringify(found.body)).to.equal(200)
    const rows = await sql<{ flight_id: string; offer_id: string }>(
      `select flight_id, offer ->> 'supplierOfferId' as offer_id from offers
       where member_id = $1 and (offer -> 'holdable')::boolean = $2`,
      [member.memberId, holdable],
    )
    for (const { id, price } of found.body.data.flights) {
      const row = rows.find(({ flight_id }) => flight_id === id)
      if (!row || price.loyalty_amount > 50_000) continue
      return { flightId: id, amount: price.loyalty_amount, currency: 'stars', offerId: row.offer_id }
    }
    throw new Error('no such flight')
  }

  /** Waits until the stand-in was called, whatever it answered. */
  const seen = (
    where: 'coffeechain' | 'duffel',
    operation: string,
    fits: (facts: Record<string, unknown>) => boolean,
  ) =>
    eventually(
      async () => {
        const { calls } = (await fetch(`${system[where].url}/_sandbox/calls`).then((r) => r.json())) as {
          calls: { operation: string; facts: Record<string, unknown> }[]
        }
        expect(calls.some((call) => call.operation === operation && fits(call.facts))).to.equal(true)
      },
      { withinMs: 20_000, everyMs: 100 },
    )

  interface Played {
    bookingId: string
    member: Member
    amount: number
  }

  /** Books, and cancels where the case is about giving back, with the answer of the call in question lost. */
  async function play({ step, isHeld = false, lost: how, happened, unreadable }: Case, nth: number): Promise<Played> {
    const member = await system.newMember({ balance: opening })
    const { memberId } = member
    const flight = await choose(member, step === 'place-hold' || isHeld)
    const isPartners = step === 'deduct' || step === 'refund'
    const isBack = step === 'refund' || step === 'cancel-order'
    const rule = (match: Record<string, unknown>): FaultRule => {
      // The supplier's own 202 means that the order comes later, or that it never comes.
      const isReal = how === '202' && !isPartners
      const answer = isReal ? { status: 202, body: { data: {} } } : answers[how]
      const operation = isHeld ? 'payments.create' : operations[step]
      return { operation, match, times: 1, effect: happened ? 'perform' : 'skip', answer }
    }
    const familyName = `Unknown${String.fromCharCode(97 + (nth % 26))}${String.fromCharCode(97 + Math.floor(nth / 26))}`
    if (!isBack) {
      const where = isPartners ? system.coffeechain : system.duffel
      await where.setFaults([rule(isPartners ? { memberId } : { offerId: flight.offerId })])
    }
    if (unreadable === 'orders cannot be read') {
      const match = { passengerName: familyName }
      await system.duffel.setFaults([{ operation: 'orders.list', match, effect: 'skip', answer: { status: 500 } }])
    }
    const passengers = bookingRequest(flight).passengers.map((one) => ({ ...one, last_name: familyName }))
    const booked = await member.book(flight, { Prefer: isBack ? 'wait=20' : 'respond-async' }, { passengers })
    const bookingId: string = booked.body.data?.booking_id
    expect(bookingId, JSON.stringify(booked.body)).to.be.a('string')
    if (isBack) {
      expect(booked.status).to.equal(201)
      const match = isPartners ? { memberId } : { metadata: { booking_id: bookingId } }
      await (isPartners ? system.coffeechain : system.duffel).setFaults([rule(match)])
      await member.cancel(bookingId, {}, { Prefer: 'respond-async' })
    }
    if (unreadable === 'balance moved otherwise') {
      await seen('coffeechain', step, (facts) => facts.memberId === memberId)
      await system.coffeechain.addMember(memberId, (await system.coffeechain.balance(memberId)) + 123)
    }
    return { bookingId, member, amount: flight.amount }
  }

  /** What an operator sees is enough to decide, and they say what is true. */
  async function decideTruly(played: Played, { step, happened }: Case): Promise<void> {
    const { bookingId } = played
    const trouble = await queued(bookingId)
    // Not always the first attempt: one that a busy machine claims too late makes no call and is tried again.
    const { attempt } = trouble
    expect(trouble.step).to.equal(step)
    expect(trouble.explanation).to.be.a('string').and.not.equal('')
    const { evidence } = trouble
    expect(evidence.seen.length, 'what was seen').to.be.greaterThan(0)
    if (step === 'deduct' || step === 'refund') {
      expect(evidence.movement).to.include({ amount: played.amount, currency: 'stars' })
      expect(evidence.movement.balanceIfItHappened - evidence.movement.balanceBefore).to.equal(
        step === 'deduct' ? -played.amount : played.amount,
      )
      expect(evidence.claimedAt < evidence.callBefore).to.equal(true)
      expect(evidence.seen.at(-1).balance).to.be.a('number')
    }
    const known = step === 'issue-tickets' && happened ? { orderId: await orderOf(bookingId) } : {}
    const decision = happened ? 'happened' : 'did-not-happen'
    const body = { decision, reason: 'asked the other side', step, attempt, ...known }
    const answer = await staff.decide('teahouse', bookingId, 'decide-outcome', body)
    expect(answer.status, JSON.stringify(answer.body)).to.equal(200)
  }

  /** The operator was needed when machines had looked for as long as they were to, or at once; a look may take a while. */
  async function expectAskedInTime(bookingId: string): Promise<void> {
    const events = await sql<{ type: string; data: Record<string, string> }>(
      `select type, data from events where stream = $1 and type in ('OutcomeUnknown', 'SupplierAccepted', 'OperatorNeeded')
       order by stream_version`,
      [`booking-${bookingId}`],
    )
    const needed = events.findIndex(({ type }) => type === 'OperatorNeeded')
    const question = events.slice(0, needed).at(-1)?.data
    const at = String(events[needed]?.data.at)
    const deadline = String(question?.reconcileUntil ?? question?.pollUntil)
    expect(Date.parse(at), `${bookingId} asked at ${at}, to be asked by ${deadline}`).to.be.at.most(
      Date.parse(deadline) + lookMs,
    )
    expect(events[needed]?.data.decideBy, 'the operator’s own deadline').to.satisfy((by: string) => by > at)
  }

  async function orderOf(bookingId: string): Promise<string> {
    const { orders } = (await system.duffel.state()) as { orders: { id: string; metadata: { booking_id?: string } }[] }
    const own = orders.find(({ metadata }) => metadata.booking_id === bookingId)
    if (!own) throw new Error(`the supplier has no order of ${bookingId}`)
    return own.id
  }

  /** All cases at once, but only so many booked at a time: a lookup before a booking has a second and a half. */
  function playAll(): Promise<Played>[] {
    const plays: Promise<Played>[] = []
    for (const [nth, one] of cases.entries()) {
      const turn = Promise.allSettled([plays[nth - bookedTogether]])
      plays.push(turn.then(() => play(one, nth)))
    }
    return plays
  }

  async function endOf(one: Case, playing: Promise<Played>): Promise<Played & { one: Case }> {
    const played = await playing
    if (one.ends !== 'operator') {
      await reaches(played.bookingId, one.ends)
      const asked = await sql(`select 1 from events where stream = $1 and type = 'OperatorNeeded'`, [
        `booking-${played.bookingId}`,
      ])
      expect(asked, 'no person was needed').to.have.length(0)
      return { ...played, one }
    }
    await decideTruly(played, one)
    await expectAskedInTime(played.bookingId)
    const end = one.step === 'refund' ? 'cancelled' : one.happened ? 'confirmed' : 'failed'
    await reaches(played.bookingId, end)
    return { ...played, one }
  }

  /** The member's balance at the partner is what they opened with plus their lines in the ledger. */
  async function expectAgreement(played: readonly (Played & { drift?: number })[]): Promise<void> {
    await eventually(async () => {
      const balances = await expectLedgerBalanced(system.readDatabase.adminUrl)
      for (const { member, drift = 0 } of played) {
        const line = balances.find(({ account }) => account === `member:${member.memberId}`)?.balance ?? 0
        expect(await system.coffeechain.balance(member.memberId), member.memberId).to.equal(opening + drift + line)
      }
    })
  }

  const title = ({ step, isHeld, lost: how, happened, unreadable, ends }: Case) =>
    `${step}${isHeld ? ' of a hold' : ''}, ${how}, ${happened ? 'happened' : 'did not happen'}${unreadable ? `, ${unreadable}` : ''}: ${ends}`

  it(`all ${cases.length} cases end as they should, and the partner agrees with the ledger`, async () => {
    const results = await Promise.allSettled(playAll().map((playing, nth) => endOf(cases[nth] as Case, playing)))
    const wrong = results.flatMap((result, nth) =>
      result.status === 'rejected' ? [`${title(cases[nth] as Case)}\n  ${String(result.reason)}`] : [],
    )
    expect(wrong, wrong.join('\n')).to.deep.equal([])
    const played = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    await expectAgreement(
      played.map((each) => ({ ...each, drift: each.one.unreadable === 'balance moved otherwise' ? 123 : 0 })),
    )
    const { orders } = (await system.duffel.state()) as {
      orders: { metadata: { booking_id?: string }; cancelled: boolean; paid: boolean }[]
    }
    for (const { bookingId, one } of played) {
      const live = orders.filter(({ metadata, cancelled }) => metadata.booking_id === bookingId && !cancelled)
      const { status } = await detail(bookingId)
      expect(live.length, `${title(one)}: live orders`).to.equal(status === 'confirmed' ? 1 : 0)
    }
  })

  describe('a decision that was wrong is corrected', () => {
    const about = { step: 'deduct', attempt: 1, reason: 'the programme looked again' }
    const wrongly = async (happened: boolean) => {
      const unclear = { step: 'deduct', lost: '500', happened, unreadable: 'balance moved otherwise' } as const
      const played = await play({ ...unclear, ends: 'operator' }, 90)
      await queued(played.bookingId)
      const decision = { ...about, decision: happened ? 'did-not-happen' : 'happened' }
      expect((await staff.decide('teahouse', played.bookingId, 'decide-outcome', decision)).status).to.equal(200)
      await reaches(played.bookingId, happened ? 'failed' : 'confirmed')
      return played
    }
    const correct = (bookingId: string, body: Record<string, unknown>) =>
      staff.decide('teahouse', bookingId, 'correct-outcome', { ...about, ...body })

    it('said that it did not happen: the member who paid for nothing is refunded by a call', async () => {
      const { bookingId, member } = await wrongly(true)
      const { transactions } = (await fetch(
        `${system.coffeechain.url}/_sandbox/state?memberId=${member.memberId}`,
      ).then((r) => r.json())) as { transactions: { transaction_id: string }[] }
      const transactionId = transactions.at(-1)?.transaction_id
      const answer = await correct(bookingId, { happened: true, transactionId })
      expect(answer.status, JSON.stringify(answer.body)).to.equal(200)
      await eventually(async () => expect((await detail(bookingId)).refund?.status).to.equal('processed'), {
        withinMs: 20_000,
      })
      await reaches(bookingId, 'failed')
      await expectAgreement([{ bookingId, member, amount: 0, drift: 123 }])
      expect(await system.coffeechain.balance(member.memberId)).to.equal(opening + 123)
      expect((await correct(bookingId, { happened: true, transactionId })).status, 'a repeat changes nothing').to.equal(
        200,
      )
    })

    it('said that it happened: what the member has without paying is to be recovered', async () => {
      const { bookingId, member, amount } = await wrongly(false)
      expect((await correct(bookingId, { happened: false })).status).to.equal(200)
      const recoverable = async () => {
        const balances = await expectLedgerBalanced(system.readDatabase.adminUrl)
        return balances.find(({ account }) => account === `recoverable:${member.memberId}`)?.balance ?? 0
      }
      await eventually(async () => expect(await recoverable()).to.equal(-amount))
      await expectAgreement([{ bookingId, member, amount, drift: 123 }])
      expect((await detail(bookingId)).status, 'the ticket stands').to.equal('confirmed')
      const settle = { how: 'waived', amount, reason: 'our mistake' }
      expect((await staff.decide('teahouse', bookingId, 'settle-recovery', settle)).status).to.equal(200)
      await eventually(async () => expect(await recoverable()).to.equal(0))
    })

    it('and is disputed by the report that comes too late, which waits for a person until it is answered', async () => {
      const { bookingId, member } = await wrongly(true)
      const stream = `booking-${bookingId}`
      const [claim] = await sql<{ execution_id: string }>(
        `select data ->> 'executionId' as execution_id from events
         where stream = $1 and type = 'AttemptStarted' and data ->> 'step' = 'deduct'`,
        [stream],
      )
      const serviceToken = String(system.env.SERVICE_TOKEN)
      const commandApi = createServiceClient({
        baseUrl: system.commandApis[0]?.url ?? '',
        serviceToken,
        timeoutMs: 5000,
      })
      const reference = {
        tenantId: 'teahouse',
        stream,
        memberId: member.memberId,
        correlationId: 'late',
        causationId: null,
      }
      const outcome = { kind: 'succeeded', result: { transactionId: 'txn_late', balanceAfter: 1 } }
      const body = { ...reference, step: 'deduct', attempt: 1, executionId: claim?.execution_id, outcome }
      for (let times = 0; times < 2; times += 1) await commandApi.post('/internal/attempts/report', body)
      const trouble = await queued(bookingId)
      expect(trouble).to.deep.include({ step: 'deduct', attempt: 1, why: 'reported-late' })
      expect(trouble.reported.transactionId).to.equal('txn_late')
      const { outcomes } = (await staff.read('unknown-outcomes?tenantId=teahouse&limit=200')).body
      const entries = outcomes.filter((row: { bookingId: string }) => row.bookingId === bookingId)
      expect(entries, 'in the queue, once').to.have.length(1)
      expect(entries[0].status).to.equal('failed')
      expect((await correct(bookingId, { happened: true })).status).to.equal(200)
      await eventually(async () => {
        const { status, trouble: left, refund } = await detail(bookingId)
        expect({ status, left, refund: refund?.status }).to.deep.equal({
          status: 'failed',
          left: null,
          refund: 'pending',
        })
      })
    })

    it('but nothing that nobody concluded: 409', async () => {
      const member = await system.newMember({ balance: opening })
      const booked = await member.book(await choose(member, false))
      const answer = await correct(booked.body.data.booking_id, { happened: false })
      expect(answer.status, JSON.stringify(answer.body)).to.equal(409)
      expect(answer.body.code).to.equal('no-decision-needed')
    })
  })

  it('looks once more when the workers come back long after the deadline', async () => {
    const played = await play({ step: 'deduct', lost: '500', happened: false, ends: 'failed' }, 95)
    await eventually(async () => expect((await detail(played.bookingId)).trouble?.step).to.equal('deduct'))
    const [worker] = system.workers
    if (!worker) throw new Error('no worker')
    await worker.stop()
    await eventually(
      async () => expect(Date.parse((await detail(played.bookingId)).trouble.until) + 500).to.be.lessThan(Date.now()),
      { withinMs: 15_000, everyMs: 250 },
    )
    const env = { ...system.envOf.workers, WORKERS_PORT: new URL(worker.url).port }
    system.workers[0] = await startProcess({ name: 'workers again', entry: 'workers/src/main.ts', env })
    await reaches(played.bookingId, 'failed')
    await expectAgreement([played])
  })
})
