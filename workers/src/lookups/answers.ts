/** What a look-up's caller is told when the outside world did not give an answer. */
import { Rejection } from '@portolan/schemas/errors.ts'
import type { CallAnswer } from '../steps/call-answer.ts'

/**
 * The value of a read that succeeded. Rejects: partner-unavailable, partner-timeout, member-not-found, unauthorized, not-found, and
 * validation-error for what the supplier will never answer (an airport or a day that it does not know).
 */
export function valueOrReject<T>(answer: CallAnswer<T>): T {
  if (answer.kind === 'succeeded') return answer.value
  throw rejectionOf(answer)
}

function rejectionOf(answer: Exclude<CallAnswer<unknown>, { kind: 'succeeded' }>): Rejection {
  if (answer.kind === 'refused') {
    if (answer.code === 'member-not-found')
      return new Rejection('member-not-found', 'The partner does not know this member')
    if (answer.code === 'unauthorized') return new Rejection('unauthorized', 'The partner refused our credentials')
    if (answer.code === 'supplier-refused')
      return new Rejection('validation-error', 'The supplier cannot search for this: check airports and dates', {
        errors: [],
      })
    if (answer.code === 'not-found') return new Rejection('not-found', 'The supplier does not know this')
  }
  const isTimeout = answer.kind === 'not-done' && answer.code.endsWith('-timeout')
  if (isTimeout || answer.kind === 'unknown') return timedOut()
  return new Rejection('partner-unavailable', 'The partner or supplier cannot answer at the moment')
}

export function timedOut(): Rejection {
  return new Rejection('partner-timeout', 'The partner or supplier did not answer in time')
}

/** The answer, or partner-timeout when it takes longer: waiting for a place or a turn counts too. */
export async function within<T>(deadlineMs: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timedOut()), deadlineMs)
  })
  try {
    return await Promise.race([answer, deadline])
  } finally {
    clearTimeout(timer)
  }
}
