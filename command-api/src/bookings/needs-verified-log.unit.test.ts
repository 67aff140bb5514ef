/**
 * What a restored store refuses before it has been compared with Kafka (P7, P9): a booking that ends there is never marked. Seen failing
 * with `CompensationStarted`, `CancellationRequested`, `OwedRefundSettled` or `RecoverySettled` left out of the list.
 */
import { expect } from 'chai'
import { reportOutcome } from './attempts.ts'
import { type BookingSpec, confirmed, held, hour, outcomes, requested, second, times } from './booking-spec.ts'
import { cancelBooking, type Decision, type States } from './decider.ts'
import { endsNeedVerifiedLog } from './needs-verified-log.ts'
import { afterExpiry } from './overdue.ts'

const unanswered = { kind: 'not-done', code: 'claim-unanswered', retryAfterMs: 500 } as const
const effectsOf = (decision: Decision) => endsNeedVerifiedLog(decision).map(({ name }) => name)
const cancel = (states: States, now: string) =>
  cancelBooking(states, { by: 'CC1234567', refundRequested: true, reasonSealed: null }, now, times)
const giveUp = (s: BookingSpec, step: string) => {
  const command = { ...s.reference(step), executionId: s.member.newExecution(), outcome: unanswered }
  return reportOutcome(s.states, command, s.member.now, s.settings)
}

const deductedByMistake = () => held().work('deduct', outcomes.timeout).operator('happened')
const owedRefund = () => deductedByMistake().cancel().work('cancel-order', outcomes.cancelled)
const dueRecovery = () => deductedByMistake().work('issue-tickets', outcomes.issued).correct('deduct', 1, false)

describe('a log that was not compared', () => {
  it('keeps a worker without a claim from giving a booking up, and not from trying again', () => {
    for (const [s, step] of [[requested(), 'place-hold'] as const, [held(), 'deduct'] as const]) {
      expect(effectsOf(giveUp(s, step)), 'tried again').to.deep.equal([])
      expect(effectsOf(giveUp(s.after(31 * second), step)), 'given up').to.deep.equal(['require_log_verified'])
    }
  })

  it('keeps members from cancelling', () => {
    for (const s of [requested({ approval: true }), held(), confirmed()]) {
      expect(effectsOf(cancel(s.states, s.member.now))).to.deep.equal(['require_log_verified'])
      s.cancel()
      expect(effectsOf(cancel(s.states, s.member.now)), 'asked for before').to.deep.equal([])
    }
  })

  it('keeps operators from settling what may have been settled in a lost time', () => {
    for (const s of [owedRefund().settleOwed(), dueRecovery().recover('waived')]) {
      expect(effectsOf({ booking: [], account: s.appendedToAccount })).to.deep.equal(['require_log_verified'])
    }
  })

  it('keeps approvals and holds from running out', () => {
    for (const s of [requested({ approval: true }), held()]) {
      s.after(25 * hour)
      const decision = afterExpiry(s.states, s.member.now, times, () => ({ booking: [], account: [] }))
      expect(effectsOf(decision)).to.deep.equal(['require_log_verified'])
    }
  })
})
