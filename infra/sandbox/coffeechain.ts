/**
 * Stand-in for CoffeeChain, as observed on the reference service, oddities included. Source: the loyalty partner
 * contract, sections "Common behaviour" and "CoffeeChain".
 *
 * Order of checks on every call: body validation (422), key (401), `X-Mock-Error`, then the call's own rules.
 */
import { type Accounts, createAccounts, hex12, isoMicros } from './coffeechain/accounts.ts'
import { createBlocker } from './coffeechain/blocker.ts'
import { type FieldKinds, type FieldValues, readBody } from './coffeechain/body.ts'
import {
  type Answer,
  type Call,
  count,
  member,
  type Route,
  type RunningSandbox,
  type SandboxServerOptions,
  type SandboxService,
  startSandboxServer,
} from './sandbox-server.ts'

const API_KEY = 'test_cc_api_key_12345'
/** Above this many stars a booking needs approval; exactly this many does not. */
const APPROVAL_STARS = 50_000

export interface CoffeeChainOptions extends SandboxServerOptions {
  /** How long `X-Mock-Error: api-timeout` blocks the whole service. Default 35. */
  apiTimeoutSeconds?: number
  /** What an integer field does with 10.5: `reject` (newer versions, 422) or `truncate` (older ones). Default reject. */
  fractionalAmounts?: 'reject' | 'truncate'
  /** Milliseconds since the epoch, fractions allowed; for tests of the hourly reset. */
  now?: () => number
}

/** What the handlers share. */
interface Shared {
  accounts: Accounts
  blocker: ReturnType<typeof createBlocker>
  effects: Record<string, number>
  fractionalAmounts: 'reject' | 'truncate'
}

/**
 * Starts the CoffeeChain stand-in.
 *
 * Returns its base address, below which `/api/v1/…`, `/health` and `/_sandbox/…` answer.
 * Errors: rejects with the listen error (EADDRINUSE, EACCES).
 */
export function startCoffeeChain(options: CoffeeChainOptions = {}): Promise<RunningSandbox> {
  return startSandboxServer(createCoffeeChain(options), options)
}

function createCoffeeChain(options: CoffeeChainOptions): SandboxService {
  const now = options.now ?? (() => performance.timeOrigin + performance.now())
  const accounts = createAccounts(now)
  const blocker = createBlocker((options.apiTimeoutSeconds ?? 35) * 1000)
  const effects: Record<string, number> = {}
  const shared: Shared = { accounts, blocker, effects, fractionalAmounts: options.fractionalAmounts ?? 'reject' }
  const health = () => ({ status: 'healthy', service: 'coffeechain-mock', timestamp: isoMicros(now()) })
  return {
    effects,
    routes: [
      { operation: 'health', method: 'GET', path: '/health', handle: () => ({ status: 200, body: health() }) },
      ...partnerRoutes(shared),
    ],
    control: [
      { method: 'POST', path: '/_sandbox/members', handle: (call) => addMember(accounts, call.body) },
      {
        method: 'POST',
        path: '/_sandbox/hourly-reset',
        handle: () => {
          const before = accounts.state(null)
          accounts.resetHourly()
          return { status: 200, body: before }
        },
      },
    ],
    before: async () => {
      await blocker.passed()
      accounts.resetIfDue()
    },
    headers: (call) => ({ ...rateLimitHeaders(now()), ...corsHeaders(call) }),
    noRoute,
    faultBody: ({ status, code }) => ({
      detail: { error: code ?? faultCode(status), message: 'Scripted by the sandbox' },
    }),
    state: (query) => accounts.state(query.get('memberId')),
    reset: () => accounts.resetAll(),
    stop: () => blocker.release(),
  }
}

function partnerRoutes(shared: Shared): Route[] {
  const memberFacts = (call: Call) => ({ memberId: call.params.id })
  const bodyFacts = ({ params, body }: Call) => ({
    memberId: params.id ?? member(body, 'member_id'),
    amount: member(body, 'amount'),
    referenceId: member(body, 'reference_id'),
    transactionId: member(body, 'transaction_id'),
    bookingReference: member(body, 'booking_reference'),
  })
  const members = '/api/v1/members/:id'
  return [
    { operation: 'balance', method: 'GET', path: `${members}/balance`, handle: balance(shared), facts: memberFacts },
    { operation: 'deduct', method: 'POST', path: `${members}/deduct`, handle: deduct(shared), facts: bodyFacts },
    { operation: 'refund', method: 'POST', path: `${members}/refund`, handle: refund(shared), facts: bodyFacts },
    {
      operation: 'approval',
      method: 'POST',
      path: '/api/v1/approvals/check',
      handle: approval(shared),
      facts: bodyFacts,
    },
  ]
}

/**
 * Wraps a call in the order of checks. `own` runs last and is the only part that changes anything; `mocked` answers the
 * mock values that only some calls know.
 */
function checked<Kinds extends FieldKinds>(
  shared: Shared,
  kinds: Kinds,
  own: (call: Call, body: FieldValues<Kinds>) => Answer,
  mocked: (value: string, body: FieldValues<Kinds>) => Answer | undefined = () => undefined,
): Route['handle'] {
  return async (call) => {
    const body = Object.keys(kinds).length === 0 ? noFields<Kinds>() : readBody(call, kinds, shared.fractionalAmounts)
    if ('errors' in body) return { status: 422, body: { detail: body.errors } }
    if (call.headers['x-cc-api-key'] !== API_KEY) return refusal(401, 'unauthorized', 'Invalid API key')
    const mock = String(call.headers['x-mock-error'] ?? '')
    if (mock === 'true') return refusal(500, 'internal_error', 'Simulated error for testing')
    if (mock === 'auth-failed') return refusal(401, 'unauthorized', 'Authentication failed')
    if (mock === 'api-timeout') await shared.blocker.block()
    return mocked(mock, body.values) ?? own(call, body.values)
  }
}

function noFields<Kinds extends FieldKinds>(): { values: FieldValues<Kinds> } {
  // Only used when `kinds` has no members, so the empty object is complete.
  return { values: {} as FieldValues<Kinds> }
}

function balance(shared: Shared): Route['handle'] {
  return checked(shared, {}, ({ params }) => {
    const id = params.id ?? ''
    const found = shared.accounts.find(id)
    if (!found) return memberNotFound(id)
    const { stars, tier, status } = found
    return { status: 200, body: { member_id: id, balance: stars, currency: 'stars', tier, status } }
  })
}

function deduct(shared: Shared): Route['handle'] {
  return checked(
    shared,
    { amount: 'int', reference_id: 'str', description: 'str' } as const,
    ({ params }, body) => {
      const id = params.id ?? ''
      const found = shared.accounts.find(id)
      if (!found) return memberNotFound(id)
      if (found.stars < body.amount) return insufficient(found.stars, body.amount)
      const made = shared.accounts.deduct(id, found, body.amount, body.reference_id)
      count(shared.effects, 'deduct')
      return {
        status: 200,
        body: {
          transaction_id: made.transaction_id,
          member_id: id,
          amount_deducted: made.amount,
          remaining_balance: found.stars,
          timestamp: made.timestamp,
        },
      }
    },
    (mock, body) => (mock === 'insufficient-balance' ? insufficient(1000, body.amount) : undefined),
  )
}

function refund(shared: Shared): Route['handle'] {
  return checked(shared, { transaction_id: 'str', reason: 'str' } as const, ({ params }, body) => {
    const id = params.id ?? ''
    const original = shared.accounts.findDeduction(body.transaction_id)
    if (!original) return refusal(404, 'transaction_not_found', `Transaction ${body.transaction_id} not found`)
    const found = shared.accounts.find(id)
    if (original.member_id !== id || !found)
      return refusal(403, 'unauthorized', 'Transaction does not belong to this member')
    const made = shared.accounts.refund(found, original)
    count(shared.effects, 'refund')
    return {
      status: 200,
      body: {
        refund_id: made.transaction_id,
        transaction_id: original.transaction_id,
        member_id: id,
        amount_refunded: made.amount,
        new_balance: found.stars,
        timestamp: made.timestamp,
      },
    }
  })
}

function approval(shared: Shared): Route['handle'] {
  return checked(
    shared,
    { member_id: 'str', amount: 'int', booking_reference: 'str' } as const,
    (_call, { amount }) =>
      amount > APPROVAL_STARS
        ? approvalRequired(`Booking exceeds 50,000 stars limit (${amount} stars)`)
        : { status: 200, body: { approval_required: false, approval_id: null, reason: null, estimated_time: null } },
    (mock) => (mock === 'approval-required' ? approvalRequired('Forced approval for testing') : undefined),
  )
}

function addMember(accounts: Accounts, body: unknown): Answer {
  const id = member(body, 'member_id')
  const stars = member(body, 'balance')
  if (typeof id !== 'string' || id === '' || !Number.isSafeInteger(stars))
    return { status: 400, body: { error: 'expected {"member_id": string, "balance": integer, "name"?, "tier"?, …}' } }
  const text = (name: string, otherwise: string) => String(member(body, name) ?? otherwise)
  const created = {
    name: text('name', `Member ${id}`),
    email: text('email', `${id.toLowerCase()}@email.com`),
    stars: Number(stars),
    tier: text('tier', 'gold'),
    status: text('status', 'active'),
  }
  accounts.add(id, created)
  return { status: 201, body: { member_id: id, balance: created.stars, tier: created.tier, status: created.status } }
}

function refusal(status: number, error: string, message: string, extra: Record<string, unknown> = {}): Answer {
  return { status, body: { detail: { error, message, ...extra } } }
}

function memberNotFound(id: string): Answer {
  return refusal(404, 'member_not_found', `Member ${id} not found`)
}

function insufficient(current: number, requested: number): Answer {
  const amounts = { current_balance: current, requested_amount: requested }
  return refusal(400, 'insufficient_balance', 'Member has insufficient stars', amounts)
}

function approvalRequired(reason: string): Answer {
  const body = { approval_required: true, approval_id: `appr_${hex12()}`, reason, estimated_time: 'PT24H' }
  return { status: 200, body }
}

function noRoute(call: Call, allowed: string[]): Answer {
  if (call.method === 'OPTIONS' && call.headers.origin && call.headers['access-control-request-method'])
    return { status: 200, body: 'OK', headers: preflightHeaders(call) }
  if (allowed.length === 0) return { status: 404, body: { detail: 'Not Found' } }
  return { status: 405, body: { detail: 'Method Not Allowed' }, headers: { allow: allowed.join(', ') } }
}

function rateLimitHeaders(nowMs: number): Record<string, string> {
  // Decoration only: the reference service never counts and never answers 429.
  const reset = String(Math.floor(nowMs / 1000) + 60)
  return { 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '95', 'x-ratelimit-reset': reset }
}

function corsHeaders(call: Call): Record<string, string> {
  const { origin, cookie } = call.headers
  if (origin === undefined) return {}
  // A wildcard is not allowed together with a cookie, so then the origin itself is named.
  const allowed = cookie === undefined ? '*' : origin
  return { 'access-control-allow-origin': allowed, 'access-control-allow-credentials': 'true' }
}

function preflightHeaders(call: Call): Record<string, string> {
  return {
    'content-type': 'text/plain; charset=utf-8',
    'access-control-allow-origin': String(call.headers.origin),
    'access-control-allow-methods': 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT',
    'access-control-allow-headers': String(call.headers['access-control-request-headers'] ?? ''),
    'access-control-max-age': '600',
    vary: 'Origin',
  }
}

function faultCode(status: number): string {
  if (status === 429) return 'rate_limited'
  return status === 503 ? 'service_unavailable' : 'internal_error'
}
