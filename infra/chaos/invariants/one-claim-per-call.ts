import type { Invariant, StoredEvent } from '../evidence.ts'
import { history, type SandboxCall, type World } from './world.ts'

/** P7 and P13: nobody calls without a claim, and no claim allows two calls. */
export const oneClaimPerCall: Invariant = {
  name: 'one-claim-per-call',
  promises: ['P7', 'P13'],
  says: 'an attempt is claimed once, each call that moves something has a claim of its own, and no deduction is sent before its balance is recorded',
  check: (world) => {
    const events = history(world)
    const claims = claimsIn(events)
    // A restored store forgets numbers that it had given, so only what stands in it counts here.
    const twice = [...claimsIn(world.store.events)].flatMap(([attempt, granted]) =>
      granted.length > 1 ? [{ what: `${attempt} was claimed ${granted.length} times` }] : [],
    )
    const recorded = new Set(events.flatMap(({ type, data }) => (type === 'BalanceRecorded' ? [data.movementId] : [])))
    const unrecorded = [...callsOf(world, 'deduct')].flatMap(([movementId]) =>
      recorded.has(movementId) ? [] : [{ what: `${movementId} was sent to the partner without a recorded balance` }],
    )
    return { violations: [...twice, ...unrecorded, ...callsWithoutClaim(world, events, claims)], notes: [] }
  },
}

type Claims = ReadonlyMap<string, StoredEvent[]>

/** By `<bookingId>:<step>:<attempt>`. */
function claimsIn(events: readonly StoredEvent[]): Map<string, StoredEvent[]> {
  return Map.groupBy(
    events.filter(({ type }) => type === 'AttemptStarted'),
    ({ stream, data }) => `${stream.slice('booking-'.length)}:${data.step}:${data.attempt}`,
  )
}

/** Calls are named as far as the other side knows the attempt; where it knows the booking only, they are counted. */
function callsWithoutClaim(world: World, events: readonly StoredEvent[], claims: Claims) {
  const countOf = (booking: string, step: string) =>
    [...claims.keys()].filter((attempt) => attempt.startsWith(`${booking}:${step}:`)).length
  const byTransaction = new Map(
    events.flatMap(({ type, data, stream }) =>
      (type === 'PaymentDeducted' || type === 'OutcomeUpheld') && data.transactionId
        ? [[data.transactionId as string, stream.slice('booking-'.length)] as const]
        : [],
    ),
  )
  const allowed: Record<string, (subject: string) => number> = {
    deduct: (movementId) => claims.get(movementId)?.length ?? 0,
    refund: (transactionId) => countOf(byTransaction.get(transactionId) ?? '', 'refund'),
    'orders.create': (attempt) => claims.get(attempt)?.length ?? 0,
    'payments.create': (booking) => countOf(booking, 'issue-tickets'),
    'order_cancellations.confirm': (booking) => countOf(booking, 'cancel-order'),
  }
  return Object.entries(allowed).flatMap(([operation, limit]) =>
    [...callsOf(world, operation)].flatMap(([subject, calls]) =>
      calls.length <= limit(subject)
        ? []
        : [{ what: `${operation} for ${subject} was called ${calls.length} times, ${limit(subject)} were claimed` }],
    ),
  )
}

/** The calls of an operation by what they are about. */
function callsOf({ partner, supplier }: World, operation: string): Map<string, SandboxCall[]> {
  const calls = [...partner.calls, ...supplier.calls].filter((call) => call.operation === operation)
  return Map.groupBy(calls, ({ facts }) => {
    switch (operation) {
      case 'deduct':
        return String(facts.referenceId)
      case 'refund':
        return String(facts.transactionId)
      case 'orders.create': {
        const step = facts.type === 'instant' ? 'issue-tickets' : 'place-hold'
        return `${facts.metadata?.booking_id}:${step}:${facts.metadata?.attempt}`
      }
      default:
        return String(facts.metadata?.booking_id)
    }
  })
}
