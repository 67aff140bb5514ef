/**
 * Test-only: a booking and its member's account driven like handle-command drives them. Every decision is validated against the catalogues,
 * folded, and followed by what the process manager wants; after each one the rules that must hold in every state are checked.
 */
import { type BookedOffer, type BookingEvent, bookingEvents } from '@portolan/schemas/bookings/messages.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { type EventCatalogue, validateEvent } from '@portolan/schemas/event-catalogue.ts'
import { type MemberEvent, memberEvents } from '@portolan/schemas/members/messages.ts'
import type { OpenStep, Outcome } from '@portolan/schemas/steps.ts'
import { expect } from 'chai'
import { evolveSteps, reconcileSteps } from '../event-store/steps.ts'
import { balanceIsRecorded, claimAnswer, recordBalance, reportOutcome, startAttempt } from './attempts.ts'
import { type Booking, type BookingState, evolveBooking } from './booking.ts'
import { type CorrectOutcome, correctOutcome, settleRecovery } from './corrections.ts'
import {
  approveBooking,
  cancelBooking,
  type Decision,
  hastenPoll,
  rejectBooking,
  requestBooking,
  type States,
  settleOwedRefund,
} from './decider.ts'
import { emptyAccount, evolveAccount, type MemberAccount } from './member-account.ts'
import { type DecideOutcome, decideOutcome } from './operator.ts'
import { afterExpiry } from './overdue.ts'
import { nextSteps, type ProcessTimes } from './process.ts'

export const second = 1000
export const minute = 60 * second
export const hour = 60 * minute

export const times: ProcessTimes = {
  approvalTtlMs: 24 * hour,
  stepWindowMs: 30 * second,
  recheckWindowMs: 15 * minute,
  undoWindowMs: 24 * hour,
  reconcileWindowMs: 15 * minute,
  reconcileEveryMs: 5 * second,
  settleMs: minute,
  pollWindowMs: 6 * hour,
  pollEveryMs: 15 * second,
  operatorWindowMs: 24 * hour,
  lostGraceMs: 40 * second,
  forgottenCallMs: 150 * second,
}

export const price = { amountMinor: 35_000, currency: 'USD', loyaltyAmount: 35_000, loyaltyCurrency: 'stars' } as const

/** The member that several bookings of one test share: their clock, their account, and what was appended to it. */
export class SpecMember {
  nowMs = Date.parse('2026-11-21T12:00:00.000Z')
  account: MemberAccount = emptyAccount()
  events: MemberEvent[] = []
  executions = 0

  get now(): string {
    return new Date(this.nowMs).toISOString()
  }

  /** A fresh execution id, the same ones in every run. */
  newExecution(): string {
    this.executions += 1
    return `00000000-0000-4000-8000-${String(this.executions).padStart(12, '0')}`
  }
}

type DataOf = { [E in BookingEvent as E['type']]: E['data'] }

interface SpecOptions {
  holdable?: boolean
  approval?: boolean
  member?: SpecMember
  bookingId?: string
  resetBalance?: number
  departsAt?: string
}

export class BookingSpec {
  readonly member: SpecMember
  readonly options: SpecOptions
  state: BookingState = null
  /** Everything appended to the booking's stream. */
  events: BookingEvent[] = []
  /** What the last decision appended, the process manager's step events included. */
  appended: BookingEvent[] = []
  appendedToAccount: MemberEvent[] = []
  /** Code of the refusal that came with what was recorded. */
  refused: string | null = null
  private open: readonly OpenStep[] = []
  private readonly lastAttempt = new Map<string, number>()

  constructor(options: SpecOptions = {}) {
    this.options = options
    this.member = options.member ?? new SpecMember()
  }

  get booking(): Booking {
    if (!this.state) throw new Error('the booking does not exist yet')
    return this.state
  }

  get states(): States {
    return { booking: this.state, account: this.member.account }
  }

  get settings() {
    return { times, resetBalance: this.options.resetBalance }
  }

  /** Types of the facts the last decision appended to the booking, without step events. */
  get facts(): string[] {
    return this.appended.map((event) => event.type).filter((type) => !unnamed.includes(type))
  }

  get accountFacts(): string[] {
    return this.appendedToAccount.map((event) => event.type)
  }

  get openSteps(): string[] {
    return Object.keys(this.booking.open).sort()
  }

  step(name: string): OpenStep {
    const open = this.booking.open[name]
    if (!open) throw new Error(`'${name}' is not open; open are: ${this.openSteps.join(', ') || 'none'}`)
    return open
  }

  /** The last fact of `type` in the booking's stream. */
  fact<T extends BookingEvent['type']>(type: T): DataOf[T] {
    const found = this.events.findLast((event) => event.type === type)
    if (!found) throw new Error(`no ${type} was appended`)
    return found.data as DataOf[T]
  }

  after(ms: number): this {
    this.member.nowMs += ms
    return this
  }

  at(instant: string): this {
    this.member.nowMs = Date.parse(instant)
    return this
  }

  request(): this {
    const { bookingId = 'bkg_1', holdable = true, approval = false } = this.options
    const asked = { askedBy: 'threshold', reason: 'Booking exceeds 50,000 stars limit' } as const
    const command = {
      bookingId,
      memberId: 'CC1234567',
      personId: 'per_1',
      offer: this.offer(holdable),
      price,
      passengers: [
        { type: 'adult' as const, supplierPassengerId: 'pas_1', withAdultIndex: null, sealed: 'v1.k.a.b.c' },
      ],
      contactSealed: 'v1.k.d.e.f',
      approval: approval ? asked : null,
    }
    return this.appends({ booking: requestBooking(command, this.member.now, times), account: [] })
  }

  approve(): this {
    return this.decides(({ booking }) => ({
      booking: approveBooking(booking, 'stf_1', this.member.now),
      account: [],
    }))
  }

  reject(): this {
    return this.decides((states) => rejectBooking(states, 'stf_1', 'too expensive', this.member.now, times))
  }

  cancel(refundRequested = true): this {
    const command = { by: 'CC1234567', refundRequested, reasonSealed: null }
    return this.decides((states) => cancelBooking(states, command, this.member.now, times))
  }

  webhook(): this {
    return this.appends({ booking: hastenPoll(this.state, this.member.now), account: [] })
  }

  operator(decision: DecideOutcome['decision'], more: Partial<DecideOutcome> = {}): this {
    const command = { by: 'stf_1', decision, reason: 'looked it up', ...more }
    return this.decides((states) => decideOutcome(states, command, this.member.now, this.settings))
  }

  correct(step: string, attempt: number, happened: boolean, more: Partial<CorrectOutcome> = {}): this {
    const command = { step, attempt, happened, by: 'stf_2', reason: 'the partner wrote', ...more }
    return this.decides((states) => correctOutcome(states, command, this.member.now, this.settings))
  }

  /** Settles the whole of what is to be recovered, unless another amount was seen. */
  recover(how: 'recovered' | 'waived', seen?: number): this {
    const amount = seen ?? this.openAmount('recoverable')
    if (amount === 0) return this.appends({ booking: [], account: [] })
    const command = { how, amount, by: 'stf_2', reason: 'paid at the counter' }
    return this.appends({ booking: [], account: settleRecovery(this.states, command, this.member.now) })
  }

  /** Settles the whole of what is owed, unless another amount was seen. */
  settleOwed(seen?: number): this {
    const amount = seen ?? this.openAmount('owed')
    if (amount === 0) return this.appends({ booking: [], account: [] })
    const command = { amount, by: 'stf_1', reason: 'paid by voucher' }
    return this.appends({ booking: [], account: settleOwedRefund(this.states, command, this.member.now) })
  }

  private openAmount(of: 'owed' | 'recoverable'): number {
    return this.member.account[of][this.booking.bookingId]?.amount ?? 0
  }

  /** Asks for the claim of the step's attempt (the open one unless told). Returns the answer the worker gets. */
  start(step: string, executionId = this.member.newExecution(), attempt = this.step(step).attempt) {
    const command = {
      ...this.reference(step, attempt),
      executionId,
      callWithinMs: 5 * second,
      callTimeoutMs: 10 * second,
    }
    this.appends(startAttempt(this.states, command, this.member.now, this.settings))
    return claimAnswer(this.states, command)
  }

  /** Records the balance read under the claim of `step`; returns whether the call may be made. */
  recordBalance(step: string, balance: number, from: { attempt?: number; executionId?: string } = {}): boolean {
    const { attempt = this.step(step).attempt, executionId = this.executionOf(step) } = from
    const command = { ...this.reference(step, attempt), executionId, balance, readAt: this.member.now }
    this.appends({ booking: [], account: recordBalance(this.states, command, this.member.now) })
    return balanceIsRecorded(this.states, command)
  }

  /** Reports an outcome for the open attempt by the execution that holds its claim, unless told otherwise. */
  report(step: string, outcome: Outcome, from: { attempt?: number; executionId?: string | null } = {}): this {
    const open = this.booking.open[step]
    const attempt = from.attempt ?? open?.attempt ?? this.booking.attempts[step] ?? 1
    const executionId = from.executionId === undefined ? (open?.claim?.executionId ?? null) : from.executionId
    const command = { ...this.reference(step, attempt), executionId, outcome }
    return this.appends(reportOutcome(this.states, command, this.member.now, this.settings))
  }

  /** Claims the step's attempt, records `balance` before a movement, and reports `outcome`. */
  work(step: string, outcome: Outcome, balance = 100_000): this {
    expect(this.start(step), `claim of ${step}`).to.equal('granted')
    if (step === 'deduct' || step === 'refund') expect(this.recordBalance(step, balance)).to.equal(true)
    return this.report(step, outcome)
  }

  /** Lets the timer or look-up fall due and reports it. */
  falls(step: string, result: Record<string, unknown> = {}): this {
    const { dueAt } = this.step(step)
    if (dueAt > this.member.now) this.at(dueAt)
    return this.report(step, { kind: 'succeeded', result })
  }

  /** Repeats `act` while `step` is open; fails when that never ends. */
  whileOpen(step: string, act: () => unknown): this {
    for (let times = 0; this.booking.open[step]; times += 1) {
      if (times === 500) throw new Error(`'${step}' is asked for without end`)
      act()
    }
    return this
  }

  executionOf(step: string): string {
    const { claim } = this.step(step)
    if (!claim) throw new Error(`'${step}' is not claimed`)
    return claim.executionId
  }

  /** Decides like the routes do: what is overdue expires first. `refused` says when the command was refused nevertheless. */
  private decides(decide: (states: States) => Decision): this {
    const decision = afterExpiry(this.states, this.member.now, times, decide)
    this.refused = decision.refusal?.code ?? null
    return this.appends(decision)
  }

  appends({ booking, account }: Decision): this {
    for (const event of booking) validate(bookingEvents, event)
    for (const event of account) validate(memberEvents, event)
    this.fold(booking)
    this.member.account = account.reduce(evolveAccount, this.member.account)
    this.member.events.push(...account)
    const steps = reconcileSteps(this.open, nextSteps(this.state, times)) as BookingEvent[]
    if (booking.length === 0) expect(steps, 'steps appended without a fact').to.deep.equal([])
    for (const event of steps) validate(bookingEvents, event)
    this.fold(steps)
    this.appended = [...booking, ...steps]
    this.appendedToAccount = account
    this.checkEveryState()
    return this
  }

  private fold(events: readonly BookingEvent[]): void {
    for (const event of events) {
      if (event.type === 'StepRequested') {
        const { step, attempt } = event.data
        expect(attempt, `attempt number of ${step}`).to.be.greaterThan(this.lastAttempt.get(step) ?? 0)
        this.lastAttempt.set(step, attempt)
      }
      this.state = evolveBooking(this.state, event)
      this.open = evolveSteps(this.open, event)
      this.events.push(event)
    }
  }

  /** What holds in every state, whatever happened. */
  private checkEveryState(): void {
    const b = this.state
    if (!b) return
    const byName = (a: OpenStep, other: OpenStep) => a.step.localeCompare(other.step)
    expect(Object.values(b.open).sort(byName), 'open steps').to.deep.equal([...this.open].sort(byName))
    expect(reconcileSteps(this.open, nextSteps(b, times)), 'steps asked for twice').to.deep.equal([])
    const claimed = this.open.filter((step) => step.claim)
    expect(claimed.length, 'claimed attempts').to.be.at.most(1)
    const standing = [b.unknown && !b.operator, b.awaiting && !b.operator, b.operator].filter(Boolean)
    expect(standing.length, 'things in the way').to.be.at.most(1)
    const disputed = Object.values(b.disputes).some(({ isOpen }) => isOpen) ? ['operator-decision'] : []
    if (b.endedAt) expect(this.openSteps, 'open steps of an ended booking').to.deep.equal(disputed)
    else if (b.phase !== 'confirmed') expect(this.openSteps, 'open steps of a booking under way').not.to.deep.equal([])
    if (claimed.length > 0) expect(this.openSteps, 'watch of a claimed attempt').to.include('attempt-watch')
  }

  reference(step: string, attempt = this.step(step).attempt) {
    const { bookingId, memberId } = this.booking
    const stream = `booking-${bookingId}`
    return { tenantId: 'coffeechain', stream, step, attempt, memberId, correlationId: 'cor_1', causationId: null }
  }

  private offer(holdable: boolean): BookedOffer {
    const departsAt = this.options.departsAt ?? '2026-12-24T08:00:00.000Z'
    const point = { terminal: null, localTime: '2026-12-24T03:00:00', timeZone: 'America/New_York' }
    const arrivesAt = new Date(Date.parse(departsAt) + 5 * hour).toISOString()
    return {
      flightId: 'flt_1',
      searchId: 'src_1',
      supplier: 'duffel',
      supplierOfferId: 'off_1',
      supplierPassengerIds: ['pas_1'],
      holdable,
      expiresAt: new Date(this.member.nowMs + 30 * minute).toISOString(),
      supplierAmount: '350.00',
      supplierCurrency: 'USD',
      conversion: null,
      outbound: {
        airline: 'United Airlines',
        flightNumber: 'UA123',
        departure: { ...point, airport: 'JFK', time: departsAt },
        arrival: { ...point, airport: 'LAX', time: arrivesAt },
        duration: 'PT5H',
        segments: [{ flightNumber: 'UA123', departureAt: departsAt }],
      },
      inbound: null,
      cabinClass: 'economy',
      passengerCounts: { adults: 1, children: 0, infants: 0 },
    }
  }
}

/** Neither step events nor what look-ups saw change what is known; `events` has them. */
const unnamed = ['StepRequested', 'StepWithdrawn', 'AttemptStarted', 'AttemptEnded', 'OutcomeRead']

function validate(catalogue: EventCatalogue, event: { type: string; data: unknown }): void {
  expect(validateEvent(catalogue, event.type, event.data), `${event.type} keeps every field`).to.deep.equal(event.data)
  expect(JSON.parse(JSON.stringify(event)), `${event.type} survives JSON`).to.deep.equal(event)
}

/** The code a command is refused with; fails when it is not refused. */
export function refusal(command: () => unknown): string {
  try {
    command()
  } catch (error) {
    if (error instanceof Rejection) return error.code
    throw error
  }
  throw new Error('the command was not refused')
}

/** Common outcomes of the steps, as workers report them. */
export const outcomes = {
  held: (payBy: string): Outcome => ({
    kind: 'succeeded',
    result: { orderId: 'ord_1', bookingReference: 'ABC123', payBy },
  }),
  deducted: { kind: 'succeeded', result: { transactionId: 'txn_1', balanceAfter: 65_000 } },
  issued: {
    kind: 'succeeded',
    result: {
      orderId: 'ord_1',
      bookingReference: 'ABC123',
      tickets: [{ passengerIndex: 0, ticketNumber: '0162345678901', seat: null }],
    },
  },
  cancelled: { kind: 'succeeded', result: { orderId: 'ord_1', penaltyMinor: 5000, currency: 'USD' } },
  refunded: { kind: 'succeeded', result: { refundId: 'ref_1' } },
  timeout: { kind: 'unknown', code: 'timeout' },
  serverError: { kind: 'unknown', code: 'server-error' },
  unavailable: { kind: 'not-done', code: 'partner-unavailable', retryAfterMs: 0 },
  accepted: { kind: 'accepted' },
  refused: (code: string, result?: Record<string, unknown>): Outcome => ({
    kind: 'refused',
    code,
    ...(result && { result }),
  }),
} as const satisfies Record<string, Outcome | ((...args: never[]) => Outcome)>

/** An order as a look-up finds it. */
export function foundOrder(order: Record<string, unknown> = {}): Record<string, unknown> {
  const ticket = { passengerIndex: 0, ticketNumber: '0162345678901', seat: null }
  const standing = { cancelled: false, awaitingPayment: false, payBy: null, tickets: [ticket], penaltyMinor: 0 }
  const price = { totalAmount: '350.00', totalCurrency: 'USD' }
  return {
    found: true,
    order: { orderId: 'ord_1', bookingReference: 'ABC123', currency: 'USD', ...standing, ...price, ...order },
  }
}

/** A booking that was asked for. */
export const requested = (options: SpecOptions = {}): BookingSpec => new BookingSpec(options).request()

/** A booking whose seats the supplier keeps for twenty minutes; `deduct` is next. */
export function held(options: SpecOptions = {}): BookingSpec {
  const s = requested(options)
  return s.work('place-hold', outcomes.held(new Date(s.member.nowMs + 20 * minute).toISOString()))
}

/** A held booking whose amount was deducted; `issue-tickets` is next. */
export const paid = (options: SpecOptions = {}): BookingSpec => held(options).work('deduct', outcomes.deducted)

/** A ticketed booking. */
export const confirmed = (options: SpecOptions = {}): BookingSpec =>
  paid(options).work('issue-tickets', outcomes.issued)

/** A held booking whose deduction timed out after the partner named 100,000 stars. */
export const unknownDeduction = (options: SpecOptions = {}): BookingSpec =>
  held(options).work('deduct', outcomes.timeout)
