import type { Invariant, PartnerTransaction, StoredEvent, Violation } from '../evidence.ts'
import { readHistory } from './booking-history.ts'
import { bookings, type World } from './world.ts'

/**
 * P7 and P8 at the partner: every movement that the partner made is in the ledger, and the other way round, once. A movement may differ
 * only where nobody can know better, and then it is listed: it stands as unknown, a partner reset lies across it, or the store was
 * restored to a point before it.
 */
export const partnerEqualsLedger: Invariant = {
  name: 'partner-equals-ledger',
  promises: ['P7', 'P8', 'P9', 'P10'],
  says: "the partner's transactions are exactly the ledger's movements, but for those that stand as unknown, lie across a reset of the partner or are missing from a restored backup",
  check: (world) => {
    const violations: Violation[] = []
    const notes: string[] = []
    const made = transactionsByMovement(world)
    const settled = settledMovements(world)
    for (const key of new Set([...made.keys(), ...settled.keys()])) {
      const [there, here] = [made.get(key) ?? [], settled.get(key) ?? []]
      if (there.length > 1) violations.push({ what: `the partner made ${key} ${there.length} times` })
      if (here.length > 1) violations.push({ what: `the ledger has ${key} ${here.length} times` })
      const [transaction, event] = [there[0], here[0]]
      if (transaction && event) {
        const what = disagreement(transaction, event)
        if (what) violations.push({ what: `${key}: ${what}` })
        continue
      }
      const what = transaction
        ? `the partner made ${transaction.transaction_id} and the ledger does not know it`
        : 'the ledger has it and the partner never made it'
      const excuse = excuseFor(key, world)
      if (excuse) notes.push(`${key}: ${what}; ${excuse}`)
      else violations.push({ what: `${key}: ${what}` })
    }
    return { violations: [...violations, ...wrongBalances(world)], notes }
  },
}

/** What a member has is what they began with, or had after a reset, less and plus the partner's own transactions. */
function wrongBalances({ partner, evidence }: World): Violation[] {
  return partner.periods.flatMap(({ members, transactions }, nth) =>
    evidence.members.flatMap(({ memberId, balance }) => {
      const own = transactions.filter(({ member_id }) => member_id === memberId)
      const moved = own.reduce((sum, { type, amount }) => sum + (type === 'deduct' ? -amount : amount), 0)
      const held = members[memberId]?.balance
      if (held === balance + moved) return []
      return [
        {
          what: `${memberId} holds ${held} at the partner (period ${nth + 1}), the transactions say ${balance + moved}`,
        },
      ]
    }),
  )
}

/** By booking and kind: a booking is paid once and given back once, however many attempts that takes. */
function transactionsByMovement({ partner }: World): Map<string, PartnerTransaction[]> {
  const all = partner.periods.flatMap(({ transactions }) => transactions)
  return Map.groupBy(all, ({ reference_id, type }) => {
    const [bookingId] = reference_id.split(':')
    return `${type === 'deduct' ? 'deduction' : 'refund'} of ${bookingId}`
  })
}

/** What a restore took away counts where nobody has settled it again since. */
function settledMovements({ store, evidence }: World): Map<string, StoredEvent[]> {
  const settledIn = (events: readonly StoredEvent[]) =>
    Map.groupBy(
      events.filter(({ type }) => type === 'MovementSettled'),
      ({ data }) => `${data.kind} of ${data.bookingId}`,
    )
  return new Map([...settledIn(evidence.lostEvents), ...settledIn(store.events)])
}

function disagreement(transaction: PartnerTransaction, { data }: StoredEvent): string | null {
  const { transaction_id, amount, member_id, reference_id } = transaction
  if (amount !== data.amount) return `the partner moved ${amount}, the ledger ${data.amount}`
  if (member_id !== data.memberId) return `the partner moved it for ${member_id}, the ledger for ${data.memberId}`
  if (data.transactionId && data.transactionId !== transaction_id)
    return `the partner calls it ${transaction_id}, the ledger ${data.transactionId}`
  if (data.kind === 'deduction' && reference_id !== data.movementId)
    return `the partner made it for ${reference_id}, the ledger settled ${data.movementId}`
  return null
}

/** Why one side may lack a movement; null when nothing excuses it. */
function excuseFor(key: string, { store, evidence }: World): string | null {
  const bookingId = key.split(' of ')[1] ?? ''
  const cut = evidence.lostEvents.some(
    ({ stream, data }) => stream === `booking-${bookingId}` || data?.bookingId === bookingId,
  )
  if (cut) return 'the store was restored to a point before it'
  const step = key.startsWith('deduction') ? 'deduct' : 'refund'
  const own = [...bookings(store.events).values()].find(([first]) => first?.stream === `booking-${bookingId}`) ?? []
  const { operator } = readHistory(own)
  if (operator?.step === step) return `it stands as unknown, in the operators' queue (${operator.why})`
  const reset = evidence.partnerPeriods.find(({ endedAt }) => liesAcross(own, step, endedAt))
  return reset ? `the partner's reset at ${reset.endedAt} lies across it` : null
}

/** Whether the instant lies between an attempt's claim and the end of what was not known about it. */
function liesAcross(events: readonly StoredEvent[], step: string, instant: string): boolean {
  const of = (type: string) => events.find((event) => event.type === type && event.data.step === step)
  const [claimed, unknown, known] = [of('AttemptStarted'), of('OutcomeUnknown'), of('OutcomeEstablished')]
  if (!claimed || !unknown) return false
  return claimed.recordedAt <= instant && (!known || instant <= known.recordedAt)
}
