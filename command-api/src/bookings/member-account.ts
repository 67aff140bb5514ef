/**
 * A member's account as bookings see it. At most one movement of loyalty currency per member is open or unknown at a
 * time: that is what makes a later balance comparison mean something. The partner has no idempotency and no look-up.
 */
import { type MemberEvent, memberEvents } from '@portolan/schemas/members/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'
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
  /** Amounts owed by booking id, in whole units. */
  owed: Record<string, { amount: number; currency: string }>
}

export const emptyAccount = (): MemberAccount => ({ open: null, owed: {} })

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
    case 'RefundOwed': {
      const { bookingId, amount, currency } = event.data
      return { ...account, owed: { ...account.owed, [bookingId]: { amount, currency } } }
    }
    case 'OwedRefundSettled': {
      const { [event.data.bookingId]: _settled, ...owed } = account.owed
      return { ...account, owed }
    }
  }
}

export const memberAccountStreamType: StreamType<MemberAccount, MemberEvent> = {
  topic: topics.members,
  catalogue: memberEvents,
  initialState: emptyAccount,
  evolve: evolveAccount,
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
