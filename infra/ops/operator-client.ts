/** Commands that an operator gives in person: signed in, so that the audited event names who it was. */
import { signedInSchema } from '@portolan/schemas/staff/views.ts'
import { Obstacle } from '../launch/say.ts'

/**
 * Posts to a route below /ops and returns the parsed answer. Rejects with an Obstacle that quotes what was refused, or says that
 * nobody knows whether it was carried out.
 */
export type AsOperator = (path: string, body: unknown) => Promise<unknown>

const TIMEOUT_MS = 10_000

/** An access token lives 15 minutes. */
const SIGNED_IN_MS = 10 * 60_000

/** With these nothing was sent. */
const unreachable = ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']
const nobodyKnows = 'whether it was carried out is not known: look before you repeat it'

/** Signs in as OPERATOR_EMAIL with OPERATOR_PASSWORD, which default to the demo operator's, at the first call and when that is long ago. */
export function createAsOperator(baseUrl: string, env: NodeJS.ProcessEnv, { timeoutMs = TIMEOUT_MS } = {}): AsOperator {
  async function post(path: string, body: unknown, headers: Record<string, string>): Promise<unknown> {
    const { status, text } = await send(path, body, headers).catch((error: Error) => {
      const { code } = (error.cause ?? {}) as { code?: string }
      if (code && unreachable.includes(code))
        throw new Obstacle(`command-api cannot be reached (${code}): is the system running?`)
      throw new Obstacle(`command-api did not answer (${error.message}); ${nobodyKnows}.`)
    })
    const answer = parsed(text)
    if (status < 300 && answer !== undefined) return answer
    if (status < 300) throw new Obstacle(`command-api's answer cannot be read; ${nobodyKnows}.`)
    const { title, detail, bookingIds = [] } = (answer ?? {}) as Partial<Refusal>
    const which = bookingIds.length > 0 ? ` (${bookingIds.join(', ')})` : ''
    throw new Obstacle(`${title ?? status}: ${detail ?? 'refused'}${which}.`)
  }

  async function send(path: string, body: unknown, headers: Record<string, string>) {
    const response = await fetch(`${baseUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    })
    return { status: response.status, text: await response.text() }
  }

  let token = ''
  let signedInAt = Number.NEGATIVE_INFINITY
  return async (path, body) => {
    if (performance.now() - signedInAt > SIGNED_IN_MS) {
      const credentials = {
        email: env.OPERATOR_EMAIL || 'operator@portolan.example',
        password: env.OPERATOR_PASSWORD || 'portolan-demo-operator',
      }
      token = signedInSchema.parse(await post('/api/v1/staff/auth/login', credentials, {})).accessToken
      signedInAt = performance.now()
    }
    return post(path, body, { authorization: `Bearer ${token}` })
  }
}

interface Refusal {
  title: string
  detail: string
  bookingIds: string[]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
