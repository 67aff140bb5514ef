/**
 * A member's account as bookings see it. At most one movement of loyalty currency per member is open or unknown at a
 * time: that is what makes a later balance comparison mean something. The partner has no idempotency and no look-up.
 */
import { type MemberEvent, memberEvents } from '@portolan/schemas/members/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { z } from 'zod'
import type { StreamType } from '../event-store/stream-type.ts'

export interface OpenMovement {
  movementId: string
  bookingId: string
  memberId: string
  kind: 'deduction' | 'refund'
  amount: number
  currency: string
  executionId: string
  /** What the partner said before the call; null until recorded, and then no call was made yet. */
  balanceBefore: number | null
  readAt: string | null
  unknown: boolean
}

export interface MemberAccount {
  open: OpenMovement | null
  /** Amounts owed to the member by booking id, in whole units. */
  owed: Record<string, { amount: number; currency: string }>
  /** Owed amounts that were given back outside, likewise. */
  settled: Record<string, { amount: number; currency: string }>
  /** Amounts the member has without having paid for them, likewise. */
  recoverable: Record<string, { amount: number; currency: string }>
  /** What of that the member paid outside, likewise. */
  recovered: Record<string, { amount: number; currency: string }>
  /** The generation of the log before which events of this member were lost, until an operator has looked; null: none were. */
  lostBefore: number | null
}

export const emptyAccount = (): MemberAccount => ({
  open: null,
  owed: {},
  settled: {},
  recoverable: {},
  recovered: {},
  lostBefore: null,
})

export function evolveAccount(account: MemberAccount, event: MemberEvent): MemberAccount {
  switch (event.type) {
    case 'MovementOpened': {
      const { at: _at, ...movement } = event.data
      return { ...account, open: { ...movement, balanceBefore: null, readAt: null, unknown: false } }
    }
    case 'BalanceRecorded':
      return account.open
        ? { ...account, open: { ...account.open, balanceBefore: event.data.balance, readAt: event.data.readAt } }
        : account
    case 'MovementUnknown':
      return account.open ? { ...account, open: { ...account.open, unknown: true } } : account
    case 'MovementSettled':
    case 'MovementVoided':
      // A movement may be settled by a person after it was voided, while another booking's is open.
      return account.open?.movementId === event.data.movementId ? { ...account, open: null } : account
    case 'RefundOwed':
      return { ...account, owed: changed(account.owed, event.data, event.data.amount) }
    case 'OwedRefundSettled': {
      const { owed, settled } = account
      const { amount } = event.data
      return { ...account, owed: changed(owed, event.data, -amount), settled: changed(settled, event.data, amount) }
    }
    case 'OwedRefundCancelled':
      return { ...account, owed: changed(account.owed, event.data, -event.data.amount) }
    case 'RecoveryDue':
      return { ...account, recoverable: changed(account.recoverable, event.data, event.data.amount) }
    case 'RecoverySettled': {
      const { amount, how } = event.data
      const recoverable = changed(account.recoverable, event.data, -amount)
      const recovered = how === 'recovered' ? changed(account.recovered, event.data, amount) : account.recovered
      return { ...account, recoverable, recovered }
    }
    case 'MovementCorrected':
      return account
    case 'AccountHistoryLost':
      return { ...account, lostBefore: event.data.generation }
    case 'AccountHistoryReviewed':
      return { ...account, lostBefore: null }
    case 'PersonForgotten':
      return account
  }
}

/** The amounts once `change` is added for the event's booking; nothing is no entry. */
function changed(
  amounts: MemberAccount['owed'],
  { bookingId, currency }: { bookingId: string; currency: string },
  change: number,
): MemberAccount['owed'] {
  const { [bookingId]: before, ...others } = amounts
  const amount = (before?.amount ?? 0) + change
  return amount > 0 ? { ...others, [bookingId]: { amount, currency } } : others
}

const amountsSchema = z.record(z.string(), z.strictObject({ amount: z.int(), currency: z.string() }))
/** An account as a snapshot holds it. Strict: one of another shape does not fit, and the stream is folded anew. */
const accountSchema: z.ZodType<MemberAccount> = z.strictObject({
  open: z
    .strictObject({
      movementId: z.string(),
      bookingId: z.string(),
      memberId: z.string(),
      kind: z.enum(['deduction', 'refund']),
      amount: z.int(),
      currency: z.string(),
      executionId: z.string(),
      balanceBefore: z.int().nullable(),
      readAt: z.string().nullable(),
      unknown: z.boolean(),
    })
    .nullable(),
  owed: amountsSchema,
  settled: amountsSchema,
  recoverable: amountsSchema,
  recovered: amountsSchema,
  lostBefore: z.int().nullable(),
})

export const memberAccountStreamType: StreamType<MemberAccount, MemberEvent> = {
  topic: topics.members,
  catalogue: memberEvents,
  initialState: emptyAccount,
  evolve: evolveAccount,
  // Loaded for every claim of a movement, and never ends.
  snapshots: {
    schema: 3,
    everyEvents: 200,
    read: (json) => accountSchema.safeParse(json).data ?? null,
  },
}

/** What a balance read after an unknown movement says about it. `early`: unchanged, but the call may still be carried out. */
export type BalanceVerdict = 'happened' | 'did-not-happen' | 'early' | 'inconclusive'

/**
 * Compares the balance read now with the one recorded under the claim.
 * resetBalance: what the partner's reset returns this member to; a reading that a reset explains as well proves nothing.
 * settled: whether enough time has passed that the call cannot be carried out any more.
 */
export function judgeBalance(
  movement: OpenMovement,
  balance: number,
  resetBalance: number | undefined,
  settled: boolean,
): BalanceVerdict {
  if (movement.balanceBefore === null) return 'did-not-happen'
  if (balance === resetBalance) return 'inconclusive'
  const moved = movement.kind === 'deduction' ? -movement.amount : movement.amount
  if (balance === movement.balanceBefore + moved) return 'happened'
  // Looks unchanged, but is also what is left when the partner reset just before it made the movement.
  if (resetBalance !== undefined && balance === resetBalance + moved) return 'inconclusive'
  if (balance === movement.balanceBefore) return settled ? 'did-not-happen' : 'early'
  return 'inconclusive'
}
