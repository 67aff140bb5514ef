import type { Evidence, Invariant, SentRequest, Try, Violation } from '../evidence.ts'
import { bookingIdIn, problemIn } from './answer.ts'

/** P10: a retry gets the answer of the first attempt, or joins the wait for it. */
export const oneAnswerPerKey: Invariant = {
  name: 'one-answer-per-key',
  promises: ['P10'],
  says: 'every idempotency key gave one answer: one booking, and one status and body among all that were final',
  check: ({ evidence }) => {
    const lost = new Set(evidence.lostKeys.map(keyOf))
    const requests = Map.groupBy(
      evidence.requests.filter(({ idempotencyKey }) => idempotencyKey !== null),
      (request) => keyOf({ ...request, key: request.idempotencyKey ?? '' }),
    )
    const violations = [...requests].flatMap(([key, sent]) => (lost.has(key) ? [] : differing(key, sent)))
    const notes = lost.size > 0 ? [`${lost.size} keys were lost by a restore and may have been answered anew`] : []
    return { violations, notes }
  },
}

function differing(key: string, sent: readonly SentRequest[]): Violation[] {
  const tries = sent.flatMap((request) =>
    request.tries.map((one) => ({ ...one, sentBody: JSON.stringify(request.body) })),
  )
  const answered = tries.filter((one) => isFinal(one) && !isMismatch(one))
  const bookings = new Set(tries.flatMap(({ body }) => bookingIdIn(body) ?? []))
  const answers = new Set(answered.map(answerOf))
  const taken = new Set(answered.map(({ sentBody }) => sentBody))
  const refused = tries.find((one) => isMismatch(one) && taken.has(one.sentBody))
  return [
    ...(bookings.size > 1 ? [{ what: `${key} was answered with bookings ${[...bookings].join(' and ')}` }] : []),
    ...(answers.size > 1 ? [{ what: `${key} was answered ${[...answers].join(' and ')}` }] : []),
    ...(taken.size > 1 ? [{ what: `${key} was taken with ${taken.size} different bodies` }] : []),
    ...(refused ? [{ what: `${key} was refused at ${refused.endedAt} with the body it was taken with` }] : []),
  ]
}

/**
 * 202 joins the wait, and so does a problem that says the outcome is being reconciled. Any other problem that names a booking is what
 * became of it. Without one these are not recorded: 5xx (a fault), 400 and 401 (nothing was looked up), 429, and 409 while the first
 * attempt is still being worked on.
 */
function isFinal({ status, body }: Try): boolean {
  const { detail = '' } = problemIn(body) ?? {}
  if (status === null || status === 202 || /being reconciled|still being worked on/.test(detail)) return false
  if (bookingIdIn(body)) return true
  return status < 500 && status !== 400 && status !== 401 && status !== 429
}

/** The answer to a key that was used with another body. */
const isMismatch = ({ status }: Try) => status === 422

function answerOf({ status, body }: Try): string {
  const problem = problemIn(body)
  return problem ? `${status} ${problem.type}: ${problem.detail}` : `${status} ${JSON.stringify(body)}`
}

function keyOf({ tenantId, principal, method, path, key }: Evidence['lostKeys'][number]): string {
  return `${tenantId} ${principal} ${method} ${path} ${key}`
}
