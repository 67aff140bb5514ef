/** What the rest of workers knows about a loyalty partner, whatever its kind. Amounts are whole units, always positive. */
import type { CallAnswer } from '../steps/call-answer.ts'
import type { CallLimits, Guard } from '../steps/guard.ts'

/** How one call may be made. mockError: `X-Mock-Error` of the request behind it; never given with reconciliation reads. */
export interface PartnerCall extends Omit<CallLimits, 'isMocked'> {
  mockError?: string | undefined
}

export interface MemberBalance {
  balance: number
  currency: string
  status: string
}

export interface Partner {
  /** Makes sure of the next calls before anything is claimed for them; see Guard. */
  enter: Guard['enter']
  /** Changes nothing: never answers `unknown`. */
  balance(memberId: string, call: PartnerCall): Promise<CallAnswer<MemberBalance>>
  /** Changes nothing: never answers `unknown`. */
  checkApproval(
    request: { memberId: string; amount: number; bookingReference: string },
    call: PartnerCall,
  ): Promise<CallAnswer<{ approvalRequired: boolean }>>
  deduct(
    request: { memberId: string; amount: number; referenceId: string; description: string },
    call: PartnerCall,
  ): Promise<CallAnswer<{ transactionId: string; balanceAfter: number }>>
  /** Gives back the whole deduction. `amount` is what it is known to have been. */
  refund(
    request: { memberId: string; transactionId: string; amount: number; reason: string },
    call: PartnerCall,
  ): Promise<CallAnswer<{ refundId: string }>>
}
