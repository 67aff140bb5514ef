/**
 * Approvals and holds whose time is over by the database's clock, but whose timers did not say so yet because the workers are away. A
 * command that meets one records its expiry in the same transaction and then decides on what is left, so that nothing stays locked up.
 */
import { Rejection } from '@portolan/schemas/errors.ts'
import { type Booking, evolveBooking } from './booking.ts'
import {
  approvalExpired,
  approvalIsOver,
  conclude,
  type Decision,
  holdExpired,
  holdIsOver,
  type States,
} from './decider.ts'
import { evolveAccount } from './member-account.ts'
import type { ProcessTimes } from './process.ts'

/** Decides after what is overdue has expired. When `decide` then refuses, the expiry is recorded all the same, with the refusal. */
export function afterExpiry(
  states: States,
  now: string,
  times: ProcessTimes,
  decide: (states: States) => Decision,
): Decision {
  const expiry = states.booking && expiryOf(states.booking, now)
  if (!expiry) return decide(states)
  const first = conclude(states, { booking: [expiry], account: [] }, now, times)
  const left = {
    booking: first.booking.reduce(evolveBooking, states.booking),
    account: first.account.reduce(evolveAccount, states.account),
  }
  try {
    const then = decide(left)
    return { booking: [...first.booking, ...then.booking], account: [...first.account, ...then.account] }
  } catch (error) {
    if (error instanceof Rejection) return { ...first, refusal: error }
    throw error
  }
}

function expiryOf(b: Booking, now: string) {
  if (approvalIsOver(b, now)) return approvalExpired(b, now)
  return holdIsOver(b, now) ? holdExpired(now) : null
}
