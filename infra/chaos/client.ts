/**
 * A good client: whatever has no answer, or an answer that says "not now", is sent again under the same key, if need be to another
 * process. Everything that is sent and heard goes into the evidence.
 */
import type { Evidence, Read, SentRequest, Try } from './evidence.ts'
import type { Fleet } from './fleet.ts'
import { createRandom } from './random.ts'

const TRY_WITHIN_MS = 12_000
const GIVE_UP_AFTER_MS = 60_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000

export interface Sender {
  tenantId: string
  /** `member:<id>` or `staff:<email>` */
  principal: string
  headers: Record<string, string>
}

export interface Command {
  path: string
  body: unknown
  idempotencyKey: string | null
  /** Seconds for `Prefer: wait`; absent: the default of the route. */
  waitSeconds?: number
}

// biome-ignore lint/suspicious/noExplicitAny: the load looks at a few members of bodies whose contract other tests check
type Body = any

export interface Client {
  /** Sends until it is answered; `copies` of it at the same time to different processes. Resolves with the last answer of the first copy. */
  command(sender: Sender, command: Command, copies?: number): Promise<Try & { body?: Body }>
  /** The same request once more, later. */
  again(sender: Sender, request: SentRequest): Promise<Try & { body?: Body }>
  /** Reads until it is answered with something else than "not now". token: sent along, or none. */
  read(sender: Sender, path: string, token: string | null): Promise<Try & { body?: Body }>
  /** A request that is neither a command nor a read of what was written; retried likewise, recorded nowhere. */
  ask(
    kind: 'command-api' | 'query-api',
    sender: Sender,
    method: 'GET' | 'POST',
    path: string,
    body?: unknown,
  ): Promise<Try & { body?: Body }>
  /** How many commands were sent and how many of them were answered, tries by outcome included. */
  counts(): { sent: number; ended: number; outcomes: Record<string, number> }
}

/** evidence: `requests` and `reads` are added to. Which process is asked, and when again, follows from the seed and the request. */
export function createClient(fleet: Fleet, seed: number, evidence: Pick<Evidence, 'requests' | 'reads'>): Client {
  const outcomes: Record<string, number> = {}
  let sent = 0
  let ended = 0
  let nth = 0

  async function send(
    process: string,
    request: { method: string; path: string; body?: unknown; headers: Record<string, string> },
  ): Promise<Try> {
    const sentAt = new Date().toISOString()
    const hasBody = request.body !== undefined
    try {
      const response = await fetch(`${fleet.url(process)}${request.path}`, {
        method: request.method,
        headers: { ...request.headers, ...(hasBody ? { 'Content-Type': 'application/json' } : {}) },
        body: hasBody ? JSON.stringify(request.body) : null,
        signal: AbortSignal.timeout(TRY_WITHIN_MS),
      })
      const text = await response.text()
      const body = text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text || undefined
      const token = response.headers.get('Consistency-Token')
      return { process, sentAt, endedAt: new Date().toISOString(), status: response.status, body, token }
    } catch (error) {
      const { name, cause } = error as Error & { cause?: { code?: string } }
      const reason = cause?.code ?? name
      return { process, sentAt, endedAt: new Date().toISOString(), status: null, error: reason, token: null }
    }
  }

  /** Tries until answered; every try is told to `record`. */
  async function untilAnswered(
    kind: 'command-api' | 'query-api',
    first: string | undefined,
    request: { method: string; path: string; body?: unknown; headers: Record<string, string> },
    record: (attempt: Try) => void,
  ): Promise<Try> {
    const random = createRandom(seed, `${request.path} ${request.headers['Idempotency-Key'] ?? nth++}`)
    const giveUpAt = performance.now() + GIVE_UP_AFTER_MS
    let pauseMs = FIRST_PAUSE_MS
    let process = first ?? random.pick(fleet.names(kind))
    for (;;) {
      const answer = await send(process, request)
      record(answer)
      if (!isNotNow(answer) || performance.now() > giveUpAt) return answer
      await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + random.next() / 2)))
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
      const others = fleet.names(kind).filter((name) => name !== process)
      process = others.length > 0 ? random.pick(others) : process
    }
  }

  async function sendCommand(
    sender: Sender,
    request: SentRequest,
    waitSeconds: number | undefined,
    first?: string,
  ): Promise<Try> {
    const headers = {
      ...sender.headers,
      ...(request.idempotencyKey ? { 'Idempotency-Key': request.idempotencyKey } : {}),
      ...(waitSeconds === undefined ? {} : { Prefer: `wait=${waitSeconds}` }),
    }
    sent += 1
    const answer = await untilAnswered('command-api', first, { ...request, headers }, (attempt) => {
      request.tries.push(attempt)
      const outcome = outcomeOf(request, attempt)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    })
    if (answer.status !== null) ended += 1
    return answer
  }

  return {
    command: async (sender, { path, body, idempotencyKey, waitSeconds }, copies = 1) => {
      const { tenantId, principal } = sender
      const request: SentRequest = { tenantId, principal, method: 'POST', path, idempotencyKey, body, tries: [] }
      evidence.requests.push(request)
      const names = fleet.names('command-api')
      const processes = createRandom(seed, `${path} ${idempotencyKey}`).shuffle(names)
      const answers = await Promise.all(
        Array.from({ length: copies }, (_, copy) =>
          sendCommand(sender, request, waitSeconds, processes[copy % processes.length]),
        ),
      )
      return answers[0] as Try
    },
    again: (sender, request) => sendCommand(sender, request, undefined),
    read: async (sender, path, token) => {
      const { tenantId, principal } = sender
      const headers = { ...sender.headers, ...(token ? { 'Consistency-Token': token } : {}) }
      const record = (attempt: Try) => {
        const read: Read = { ...attempt, tenantId, principal, path, sentToken: token }
        evidence.reads.push(read)
      }
      return untilAnswered('query-api', undefined, { method: 'GET', path, headers }, record)
    },
    ask: (kind, sender, method, path, body) =>
      untilAnswered(kind, undefined, { method, path, body, headers: sender.headers }, () => undefined),
    counts: () => ({ sent, ended, outcomes }),
  }
}

/** Whether the same request should be sent again: no answer, a fault, or "not now". A problem that names its booking is an outcome. */
function isNotNow({ status, body }: Try & { body?: Body }): boolean {
  if (body?.error?.booking_id) return false
  if (status === null || status >= 500 || status === 429) return true
  return status === 409 && /still being (worked on|accepted)/.test(body?.error?.detail ?? body?.detail ?? '')
}

/** `book 201 confirmed`, `cancel no answer`: what the report counts. */
function outcomeOf({ path }: SentRequest, { status, error, body }: Try & { body?: Body }): string {
  const verb = path.split('/').at(-1) === 'bookings' ? 'book' : (path.split('/').at(-1) ?? '')
  if (status === null) return `${verb}: no answer (${error})`
  const said = body?.data?.status ?? body?.status ?? body?.error?.type?.split('/').at(-1) ?? body?.code ?? ''
  return `${verb}: ${status} ${typeof said === 'string' ? said : ''}`.trim()
}
