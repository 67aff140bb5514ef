/**
 * CoffeeChain's members and transaction log, with the reference service's gaps kept on purpose: `reference_id` is stored
 * and never checked, a transaction can be refunded any number of times, and the hourly reset forgets every transaction
 * and puts all balances back.
 */
import { randomBytes } from 'node:crypto'

const RESET_AFTER_MS = 3_600_000

export interface Member {
  name: string
  email: string
  stars: number
  tier: string
  status: string
}

export interface Transaction {
  /** `txn_` or, for refunds, `ref_`, and 12 hex digits. */
  transaction_id: string
  type: 'deduct' | 'refund'
  member_id: string
  amount: number
  reference_id: string
  /** UTC with microseconds, no zone. */
  timestamp: string
  /** The refunded transaction; only on refunds. */
  refunds?: string
}

/** What the reference service knows after each reset. */
const MEMBERS: Readonly<Record<string, Member>> = {
  CC1234567: { name: 'John Doe', email: 'john.doe@email.com', stars: 150_000, tier: 'gold', status: 'active' },
  CC2222222: { name: 'Jane Smith', email: 'jane.smith@email.com', stars: 45_000, tier: 'silver', status: 'active' },
  CC3333333: {
    name: 'Bob Johnson',
    email: 'bob.johnson@email.com',
    stars: 500_000,
    tier: 'platinum',
    status: 'active',
  },
  CC0000000: { name: 'Test User', email: 'test@email.com', stars: 1_000, tier: 'bronze', status: 'active' },
}

export type Accounts = ReturnType<typeof createAccounts>

/**
 * Creates the accounts as after a reset.
 *
 * now: milliseconds since the epoch, fractions give the microseconds of timestamps.
 */
export function createAccounts(now: () => number) {
  const added = new Map<string, Member>()
  let members = new Map<string, Member>()
  let transactions: Transaction[] = []
  let lastResetAt = 0

  function resetHourly(): void {
    members = new Map([...Object.entries(MEMBERS), ...added].map(([id, member]) => [id, { ...member }]))
    transactions = []
    lastResetAt = now()
  }

  function log(entry: Omit<Transaction, 'timestamp'>): Transaction {
    const transaction = { ...entry, timestamp: isoMicros(now()) }
    transactions.push(transaction)
    return transaction
  }

  resetHourly()
  return {
    find: (id: string) => members.get(id),
    findDeduction: (transactionId: string) =>
      transactions.find((entry) => entry.type === 'deduct' && entry.transaction_id === transactionId),

    /** Takes the amount, a negative one included: there is no sign check. */
    deduct: (id: string, member: Member, amount: number, referenceId: string): Transaction => {
      member.stars -= amount
      return log({
        transaction_id: `txn_${hex12()}`,
        type: 'deduct',
        member_id: id,
        amount,
        reference_id: referenceId,
      })
    },

    /** Credits the full amount again, whether or not that has been done before. */
    refund: (member: Member, original: Transaction): Transaction => {
      member.stars += original.amount
      const { timestamp: _, ...copied } = original
      return log({ ...copied, transaction_id: `ref_${hex12()}`, type: 'refund', refunds: original.transaction_id })
    },

    /** Adds a member for test isolation; the hourly reset returns it to this balance. */
    add: (id: string, member: Member): void => {
      added.set(id, member)
      members.set(id, { ...member })
    },

    resetHourly,
    resetIfDue: (): void => {
      if (now() - lastResetAt > RESET_AFTER_MS) resetHourly()
    },
    /** As after a start: added members are gone too. */
    resetAll: (): void => {
      added.clear()
      resetHourly()
    },
    /** Members and transactions, of one member or of all (null). */
    state: (memberId: string | null) => ({
      members: Object.fromEntries(
        [...members]
          .filter(([id]) => memberId === null || id === memberId)
          .map(([id, { stars, tier, status }]) => [id, { balance: stars, tier, status }]),
      ),
      transactions: transactions.filter((entry) => memberId === null || entry.member_id === memberId),
      last_reset_at: new Date(lastResetAt).toISOString(),
    }),
  }
}

/** Twelve random hex digits, as in every CoffeeChain id. */
export function hex12(): string {
  return randomBytes(6).toString('hex')
}

/** UTC with microseconds and no zone, as Python prints `datetime.utcnow().isoformat()`. */
export function isoMicros(nowMs: number): string {
  const micros = String(Math.floor((nowMs % 1) * 1000)).padStart(3, '0')
  return `${new Date(nowMs).toISOString().slice(0, 23)}${micros}`
}
