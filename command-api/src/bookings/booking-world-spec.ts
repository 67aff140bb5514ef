/**
 * Test-only: a partner, a supplier, careless workers, members and honest operators, all driven by one seed. The partner and the supplier
 * remember what really happened, so that a walk can compare it with what the events say.
 */
import type { BookedOffer } from '@portolan/schemas/bookings/messages.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { OpenStep, Outcome } from '@portolan/schemas/steps.ts'
import { isDoubted } from './booking.ts'
import { BookingSpec, foundOrder, minute, outcomes, price, SpecMember, second, times } from './booking-spec.ts'
import { conclude } from './decider.ts'
import { markLostHistory } from './lost-history.ts'
import { movementIdOf } from './process.ts'

/** One execution of a claimed attempt in a worker's memory. */
interface Execution {
  spec: BookingSpec
  step: string
  attempt: number
  executionId: string
  callBeforeMs: number
  /** Movements read and record the balance before they call. */
  mayCall: boolean
}

interface Report {
  spec: BookingSpec
  step: string
  attempt: number
  executionId: string | null
  outcome: Outcome
}

interface SupplierOrder {
  state: 'held' | 'ticketed' | 'cancelled'
  payByMs: number
}

const movements = ['deduct', 'refund']
const calls = ['place-hold', 'deduct', 'issue-tickets', 'cancel-order', 'refund']
export const startBalance = 100_000

/** A random number in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export class BookingWorld {
  readonly member = new SpecMember()
  readonly bookings: BookingSpec[]
  /** Ids of the movements the partner really made. */
  readonly moved: string[] = []
  readonly orders = new Map<BookingSpec, SupplierOrder>()
  balance = startBalance
  private coffee = 1
  private generation = 1
  /** How much time passes at once, at most: some walks are quick, in some everything is late. */
  private readonly hurry: number
  isFaultless = false
  /** Half of what operators say about movements is wrong. */
  operatorsErr = false
  private readonly random: () => number
  private transactions = new Set<string>()
  private executions: Execution[] = []
  private reports: Report[] = []
  private later: { atMs: number; spec: BookingSpec; happens: () => void }[] = []

  constructor(seed: number) {
    this.random = randomFrom(seed)
    this.hurry = this.pick([second / 2, 3 * second, 20 * second])
    const { member } = this
    this.bookings = ['bkg_1', 'bkg_2', 'bkg_3'].map((bookingId) => {
      const options = {
        member,
        bookingId,
        holdable: this.chance(0.6),
        approval: this.chance(0.3),
        resetBalance: startBalance,
      }
      return new BookingSpec(options).request()
    })
  }

  /** One thing that may happen at any time. Returns its name. */
  step(): string {
    const spec = this.pick(this.bookings)
    const [, name, act] = this.weighted([
      [40, 'a worker takes a job', () => this.takeJob(spec)],
      [40, 'a worker goes on', () => this.goOn()],
      [40, 'a report arrives', () => this.deliver()],
      [15, 'time passes', () => this.pass(this.random() * this.hurry)],
      [1, 'minutes pass', () => this.pass(this.random() * 3 * minute)],
      [0.1, 'a day passes', () => this.pass(25 * 60 * minute)],
      [12, 'time passes until something is due', () => this.passUntilDue()],
      [4, 'an old job runs again', () => this.repeatOldJob(spec)],
      [1.5, 'another worker gives up', () => this.giveUpWithoutClaim(spec)],
      [1, 'a worker dies', () => this.executions.pop()],
      [0.7, 'the member cancels', () => this.refusable(() => spec.cancel(this.chance(0.7)))],
      [6, 'somebody approves', () => this.refusable(() => spec.approve())],
      [0.2, 'somebody rejects', () => this.refusable(() => spec.reject())],
      [1, 'an operator decides', () => this.decide(spec)],
      [3, 'a webhook arrives', () => spec.webhook()],
      [0.5, 'an owed refund is settled', () => spec.settleOwed()],
      [0.3, 'the member buys a coffee', () => this.buyCoffee()],
      [0.2, 'the partner resets', () => this.reset()],
      [0.2, 'the store was restored', () => this.mark(spec)],
    ])
    act()
    return name
  }

  /** From here on nothing fails and nobody is late. Returns whether every booking came to its end within `steps` jobs. */
  finish(steps: number): boolean {
    this.isFaultless = true
    this.executions = []
    for (let i = 0; i < steps; i += 1) {
      const waiting = this.bookings.filter((spec) => !spec.booking.endedAt && spec.booking.phase !== 'confirmed')
      if (waiting.length === 0 && this.reports.length === 0) return true
      // A second at least: a step may be due but wait for the other booking's movement.
      this.passUntilDue(second)
      for (const spec of waiting) {
        this.decide(spec)
        this.takeJob(spec)
      }
      while (this.executions.length > 0) this.goOn()
      while (this.reports.length > 0) this.deliver()
    }
    return false
  }

  private takeJob(spec: BookingSpec): void {
    const due = Object.values(spec.booking.open).filter((open) => open.dueAt <= this.member.now && !open.claim)
    const open = due.length > 0 ? this.pick(due) : undefined
    if (!open) return
    if (calls.includes(open.step)) {
      const executionId = this.member.newExecution()
      if (spec.start(open.step, executionId, open.attempt) !== 'granted') return
      const callBeforeMs = this.member.nowMs + 5 * second
      const { step, attempt } = open
      this.executions.push({ spec, step, attempt, executionId, callBeforeMs, mayCall: !movements.includes(step) })
      return
    }
    this.report({ spec, step: open.step, attempt: open.attempt, executionId: null, outcome: this.look(spec, open) })
  }

  /** A worker with a claim takes its next action: record the balance, call, or notice that it is too late. */
  private goOn(): void {
    const index = Math.floor(this.random() * this.executions.length)
    const execution = this.executions[index]
    if (!execution) return
    const { spec, step, attempt, executionId } = execution
    if (!execution.mayCall) {
      execution.mayCall = spec.recordBalance(step, this.balance, { attempt, executionId })
      if (execution.mayCall) return
    }
    this.executions.splice(index, 1)
    const isLate = !execution.mayCall || this.member.nowMs > execution.callBeforeMs
    const outcome = isLate ? notDone('call-before-passed') : this.call(execution)
    this.report({ spec, step, attempt, executionId, outcome })
  }

  private report(report: Report): void {
    // A worker may die before it reports; a report may be sent twice.
    const copies = this.isFaultless ? 1 : this.chance(0.06) ? 0 : this.chance(0.1) ? 2 : 1
    for (let i = 0; i < copies; i += 1) this.reports.push(report)
  }

  private deliver(): void {
    const [report] = this.reports.splice(Math.floor(this.random() * this.reports.length), 1)
    if (!report) return
    const { spec, step, outcome, attempt, executionId } = report
    spec.report(step, outcome, { attempt, executionId })
    if (!this.isFaultless && this.chance(0.1)) this.reports.push(report)
  }

  private look(spec: BookingSpec, open: OpenStep): Outcome {
    const failed = !this.isFaultless && this.chance(0.15)
    const order = this.orders.get(spec)
    switch (open.step) {
      case 'reconcile-movement':
        if (failed) return notDone('partner-unavailable')
        return succeeded({ balance: this.balance, readAt: this.member.now })
      case 'reconcile-order':
      case 'poll-order':
        if (failed) return notDone('supplier-unavailable')
        return succeeded(order ? lookedUp(order, spec.booking.offer) : { found: false })
      case 'recheck-fare':
        if (failed) return this.pick([notDone('supplier-unavailable'), outcomes.refused('offer-unavailable')])
        return succeeded(this.fare(spec))
      default:
        return failed ? notDone('worker-fault') : succeeded({})
    }
  }

  private fare(spec: BookingSpec): Record<string, unknown> {
    const supplierAmount = this.pick(['350.00', '350.00', '349.99', '350.01'])
    const expiresAt = new Date(this.member.nowMs + 30 * minute).toISOString()
    const { holdable } = spec.booking.offer
    const offer = { supplierOfferId: 'off_2', supplierPassengerIds: ['pas_2'], holdable, expiresAt }
    return { ...offer, supplierAmount, supplierCurrency: 'USD', balance: this.balance }
  }

  /** What a call does and what its caller sees of it; both at random, except that a success did happen and a refusal did not. */
  private call({ spec, step, attempt }: Execution): Outcome {
    const refusal = this.refusal(spec, step)
    if (refusal) return refusal
    const movementId = movementIdOf(spec.booking.bookingId, step, attempt)
    const happens = () => this.happens(spec, step, movementId)
    const fate = this.isFaultless ? 0 : this.random()
    if (fate < 0.6) return happens()
    if (fate < 0.68) return notDone('partner-unavailable')
    if (fate < 0.73) return outcomes.refused('partner-refused')
    if (fate < 0.8) return this.pick([outcomes.timeout, outcomes.serverError])
    if (fate < 0.87) {
      happens()
      return this.pick([outcomes.timeout, outcomes.serverError])
    }
    if (movements.includes(step)) {
      this.later.push({ atMs: this.member.nowMs + 35 * second, spec, happens })
      return outcomes.timeout
    }
    if (this.chance(0.8)) this.later.push({ atMs: this.member.nowMs + this.random() * 40 * second, spec, happens })
    return outcomes.accepted
  }

  private refusal(spec: BookingSpec, step: string): Outcome | null {
    const order = this.orders.get(spec)
    const transaction = spec.booking.deduction?.transactionId ?? ''
    if (step === 'deduct' && this.balance < price.loyaltyAmount)
      return outcomes.refused('insufficient-balance', { available: this.balance })
    if (step === 'refund' && !this.transactions.has(transaction)) return outcomes.refused('transaction-not-found')
    if (step === 'issue-tickets' && order && order.payByMs < this.member.nowMs) return outcomes.refused('hold-expired')
    if (step === 'cancel-order' && order?.state === 'cancelled') return outcomes.refused('already-cancelled')
    return null
  }

  private happens(spec: BookingSpec, step: string, movementId: string): Outcome {
    const payByMs = this.member.nowMs + 20 * minute
    switch (step) {
      case 'deduct':
        this.moved.push(movementId)
        this.balance -= price.loyaltyAmount
        this.transactions.add(movementId)
        return succeeded({ transactionId: movementId, balanceAfter: this.balance })
      case 'refund':
        this.moved.push(movementId)
        this.balance += price.loyaltyAmount
        return outcomes.refunded
      case 'place-hold':
        this.orders.set(spec, { state: 'held', payByMs })
        return outcomes.held(new Date(payByMs).toISOString())
      case 'issue-tickets':
        this.orders.set(spec, { state: 'ticketed', payByMs: Number.POSITIVE_INFINITY })
        return outcomes.issued
      default:
        this.orders.set(spec, { state: 'cancelled', payByMs })
        return outcomes.cancelled
    }
  }

  private pass(ms: number): void {
    const untilMs = this.member.nowMs + Math.round(ms)
    const due = this.later.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)
    this.later = this.later.filter(({ atMs }) => atMs > untilMs)
    for (const { atMs, happens } of due) {
      this.member.nowMs = Math.max(this.member.nowMs, Math.round(atMs))
      happens()
    }
    this.member.nowMs = untilMs
  }

  private passUntilDue(atLeastMs = 0): void {
    const open = this.bookings.flatMap((spec) => Object.values(spec.booking.open)).filter((step) => !step.claim)
    const dues = open.map(({ dueAt }) => Date.parse(dueAt))
    if (dues.length > 0) this.pass(Math.max(atLeastMs, Math.min(...dues) - this.member.nowMs))
  }

  private repeatOldJob(spec: BookingSpec): void {
    const old = this.pick(spec.events.filter((event) => event.type === 'StepRequested'))
    const { step, attempt } = old.data
    const open = spec.booking.open[step]
    if (open?.attempt === attempt && !open.claim) return
    if (calls.includes(step) && spec.start(step, this.member.newExecution(), attempt) === 'granted')
      throw new Error(`attempt ${attempt} of ${step} was granted twice`)
    if (!calls.includes(step)) spec.report(step, succeeded({}), { attempt, executionId: null })
  }

  /** A worker whose start request was never answered knows that it made no call itself; it cannot speak for the holder of the claim. */
  private giveUpWithoutClaim(spec: BookingSpec): void {
    const { unknown, open, attempts } = spec.booking
    const claimed = Object.values(open).find((other) => other.claim)
    const step = unknown?.step ?? claimed?.step ?? this.pick(calls)
    const attempt = attempts[step]
    if (!attempt) return
    const executionId = this.pick([null, this.member.newExecution()])
    spec.report(step, notDone('claim-unanswered'), { attempt, executionId })
  }

  /** An operator looks at both sides' records, when nothing can change there any more, and says what they say. */
  private decide(spec: BookingSpec): void {
    const { booking } = spec
    const subject = booking.operator ?? booking.unknown
    const isOpen =
      this.executions.some((execution) => execution.spec === spec) || this.later.some((l) => l.spec === spec)
    if (!subject || isOpen || (this.isFaultless && !booking.operator)) return
    const { step, attempt } = subject
    const order = this.orders.get(spec)
    if (movements.includes(step)) {
      const id = movementIdOf(booking.bookingId, step, attempt)
      const isMistaken = this.operatorsErr && this.chance(0.5)
      if (this.moved.includes(id) !== isMistaken)
        spec.operator('happened', this.chance(0.5) ? { transactionId: id } : {})
      else if (step === 'refund') spec.operator(this.pick(['did-not-happen', 'retry', 'owe']))
      else spec.operator(isDoubted(booking, step) ? this.pick(['did-not-happen', 'retry']) : 'did-not-happen')
      return
    }
    const wanted = step === 'place-hold' ? 'held' : step === 'issue-tickets' ? 'ticketed' : 'cancelled'
    if (order?.state === wanted) spec.operator('happened', { orderId: 'ord_1' })
    else spec.operator(step === 'cancel-order' ? 'retry' : 'did-not-happen')
  }

  /** A restored store, of which nothing happens to be lost, doubts what it cannot know; claims of before are reported all the same. */
  private mark(spec: BookingSpec): void {
    this.generation += 1
    const lost = { generation: this.generation, lostEvents: this.pick([0, 3]) }
    const mark = markLostHistory(spec.states, lost, this.member.now, spec.settings)
    spec.appends(mark.booking.length > 0 ? conclude(spec.states, mark, this.member.now, times) : mark)
  }

  private buyCoffee(): void {
    // Doubling prices never add up to what an earlier spending was, so no sum is taken for another.
    this.coffee *= 2
    this.balance -= this.coffee
  }

  private reset(): void {
    this.balance = startBalance
    this.transactions = new Set()
  }

  private refusable(act: () => unknown): void {
    try {
      act()
    } catch (error) {
      if (!(error instanceof Rejection)) throw error
    }
  }

  private chance(probability: number): boolean {
    return this.random() < probability
  }

  private pick<T>(options: readonly T[]): T {
    return options[Math.floor(this.random() * options.length)] as T
  }

  private weighted<T extends [number, ...unknown[]]>(options: T[]): T {
    const drawn = this.random() * options.reduce((sum, [weight]) => sum + weight, 0)
    let sum = 0
    for (const option of options) {
      sum += option[0]
      if (drawn < sum) return option
    }
    return options[0] as T
  }
}

const succeeded = (result: Record<string, unknown>): Outcome => ({ kind: 'succeeded', result })
const notDone = (code: string): Outcome => ({ kind: 'not-done', code, retryAfterMs: 0 })

function lookedUp({ state, payByMs }: SupplierOrder, offer: BookedOffer): Record<string, unknown> {
  const price = { totalAmount: offer.supplierAmount, totalCurrency: offer.supplierCurrency }
  if (state === 'cancelled') return foundOrder({ ...price, cancelled: true, tickets: [], penaltyMinor: 5000 })
  if (state === 'ticketed') return foundOrder(price)
  return foundOrder({ ...price, awaitingPayment: true, payBy: new Date(payByMs).toISOString(), tickets: [] })
}
