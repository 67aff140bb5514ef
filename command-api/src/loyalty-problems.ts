/** Problems on the loyalty API's paths, in its contract's envelope (contract section 4). */
import type { ProblemSerializer } from '@portolan/infra/http/problem.ts'
import { loyaltyProblem } from '@portolan/schemas/bookings/views.ts'

/** Registered for `/api/v1/`; a fault carries `trace_id`, the correlation id to quote. */
export const loyaltyProblems: ProblemSerializer = ({ code, detail, members, instance, correlationId }, req) => {
  const all = code === 'internal-error' ? { ...members, trace_id: correlationId } : members
  const { status, contentType, body } = loyaltyProblem(code, detail, all, instance, req.get('Accept'))
  const headers = status === 401 ? { 'WWW-Authenticate': 'CoffeeChain realm="portolan"' } : undefined
  return { status, contentType, body, ...(headers ? { headers } : {}) }
}
