/**
 * A stand-in for command-api in tests of workers: grants each attempt's claim once, keeps what was reported, and answers
 * with the tenants, open steps and sealed fields that the test gives it. It decides nothing.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { OverdueSteps, RecordBalance, ReportOutcome, StartAttempt, StepJob } from '@portolan/schemas/steps.ts'
import type { TenantSettings } from '@portolan/schemas/tenants/messages.ts'

export const serviceToken = 'test-service-token-0123456789'

export interface FakeCommandApi {
  url: string
  starts: StartAttempt[]
  balances: RecordBalance[]
  reports: ReportOutcome[]
  /** Open steps that `POST /internal/steps/overdue` answers with, as long as they are due and not seen. */
  openSteps: StepJob[]
  parked: unknown[]
  /** How far the database's clock is ahead of this machine's, in ms. */
  clockAheadMs: number
  tenants: Map<string, { settings: TenantSettings; secrets: { partnerApiKey: string } }>
  /** Sealed field → value; a missing one is gone. */
  sealed: Map<string, unknown>
  /** Answers with this instead, for the named call: a status, `silence`, or `busy` for a claim. */
  trouble: Map<string, number | 'silence' | 'busy'>
  stop(): Promise<void>
}

/** Starts it on a free port. */
export async function startFakeCommandApi(): Promise<FakeCommandApi> {
  const claims = new Map<string, string>()
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const fake: FakeCommandApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    starts: [],
    balances: [],
    reports: [],
    openSteps: [],
    parked: [],
    clockAheadMs: 0,
    tenants: new Map(),
    sealed: new Map(),
    trouble: new Map(),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }

  function claim(body: StartAttempt): unknown {
    fake.starts.push(body)
    if (fake.trouble.get('start') === 'busy') return { granted: false, reason: 'busy', retryAfterMs: 30 }
    const key = JSON.stringify([body.tenantId, body.stream, body.step, body.attempt])
    const holder = claims.get(key) ?? body.executionId
    claims.set(key, holder)
    return holder === body.executionId ? { granted: true } : { granted: false, reason: 'over', retryAfterMs: null }
  }

  function handle(path: string, body: unknown): unknown {
    const [, , area, name = ''] = path.split('/')
    if (path === '/internal/clock') return { now: new Date(Date.now() + fake.clockAheadMs).toISOString() }
    if (path === '/internal/attempts/start') return claim(body as StartAttempt)
    if (path === '/internal/attempts/record-balance') {
      fake.balances.push(body as RecordBalance)
      return { granted: true }
    }
    if (path === '/internal/attempts/report') {
      fake.reports.push(body as ReportOutcome)
      return undefined
    }
    if (area === 'tenants') return fake.tenants.get(name)
    if (area === 'unseal') {
      const { items } = body as { items: { sealed: string }[] }
      return {
        items: items.map(({ sealed }) =>
          fake.sealed.has(sealed) ? { value: fake.sealed.get(sealed) } : { gone: true },
        ),
      }
    }
    if (path === '/internal/steps/overdue') {
      const { seen } = body as OverdueSteps
      const isNew = (job: StepJob) => !seen.some(({ tenantId, step }) => tenantId === job.tenantId && step === job.step)
      return { steps: fake.openSteps.filter((job) => Date.parse(job.dueAt) <= Date.now() && isNew(job)) }
    }
    if (area === 'parked') {
      if (body !== undefined) fake.parked.push(...(body as { events: unknown[] }).events)
      return body === undefined ? { streams: [] } : { free: [] }
    }
    throw new Error(`nothing at ${path}`)
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://fake')
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const trouble = fake.trouble.get(pathname.split('/').at(-1) ?? '')
    if (trouble === 'silence') return
    if (typeof trouble === 'number' || request.headers.authorization !== `Bearer ${serviceToken}`) {
      response.writeHead(typeof trouble === 'number' ? trouble : 401).end()
      return
    }
    const result = handle(pathname, text === '' ? undefined : JSON.parse(text))
    if (result === undefined) response.writeHead(204).end()
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result))
  }

  return fake
}

/** A tenant of CoffeeChain's kind. */
export function coffeeChainTenant(tenantId: string, baseUrl: string, requestsPerMinute = 100) {
  const settings: TenantSettings = {
    tenantId,
    name: tenantId,
    kind: 'coffeechain',
    currency: { name: 'stars', perCentNumerator: 1, perCentDenominator: 1 },
    memberIdPattern: '^CC\\d{7}$',
    rules: { approvalThreshold: 50_000, approvalReason: 'over the limit', allowedCabins: ['economy'] },
    limits: { requestsPerMinute: 100 },
    partner: { baseUrl, requestsPerMinute, resetBalances: {} },
  }
  return { settings, secrets: { partnerApiKey: 'test_cc_api_key_12345' } }
}
