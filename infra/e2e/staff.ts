/** An operator as our own routes see them: signs in, reads the queues, decides. */
import type { Answer } from './member.ts'
import { operator, type System } from './system.ts'

// biome-ignore lint/suspicious/noExplicitAny: bodies are asserted field by field; their types are the contract tests' business
type Body = any

export interface Staff {
  accessToken: string
  /** `POST /ops/tenants/…/bookings/…/<verb>` at command-api. */
  decide(
    tenantId: string,
    bookingId: string,
    verb: 'approve' | 'reject' | 'decide-outcome' | 'settle-refund' | 'correct-outcome' | 'settle-recovery',
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<Body>>
  /** `POST /ops/tenants/…/members/…/forget` at command-api. */
  forget(tenantId: string, memberId: string, body: unknown, headers?: Record<string, string>): Promise<Answer<Body>>
  /** `POST /ops/log/republish` at command-api. */
  republish(generation: number, reason: string): Promise<Answer<Body>>
  /** `GET /ops/<path>` at query-api. */
  read(path: string): Promise<Answer<Body>>
}

/** Signs in with the seeded operator's credentials, or others. Rejects when that is refused. */
export async function signIn(
  system: System,
  credentials: { email: string; password: string } = operator,
): Promise<Staff> {
  const commandApi = system.commandApis[0]?.url ?? ''
  const queryApi = system.queryApis[0]?.url ?? ''
  const signedIn = await send(commandApi, '/api/v1/staff/auth/login', {}, credentials)
  if (signedIn.status !== 200) throw new Error(`sign-in: ${signedIn.status} ${JSON.stringify(signedIn.body)}`)
  const { accessToken } = signedIn.body
  const authorization = { Authorization: `Bearer ${accessToken}` }
  return {
    accessToken,
    decide: (tenantId, bookingId, verb, body = {}, headers = {}) =>
      send(
        commandApi,
        `/ops/tenants/${tenantId}/bookings/${bookingId}/${verb}`,
        { ...authorization, ...headers },
        body,
      ),
    forget: (tenantId, memberId, body, headers = {}) =>
      send(commandApi, `/ops/tenants/${tenantId}/members/${memberId}/forget`, { ...authorization, ...headers }, body),
    republish: (generation, reason) => send(commandApi, '/ops/log/republish', authorization, { generation, reason }),
    read: (path) => send(queryApi, `/ops/${path}`, authorization),
  }
}

async function send(
  base: string,
  path: string,
  headers: Record<string, string>,
  body?: unknown,
): Promise<Answer<Body>> {
  const response = await fetch(`${base}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    body: body === undefined ? null : JSON.stringify(body),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text ? JSON.parse(text) : undefined,
    token: response.headers.get('Consistency-Token'),
  }
}
