/** Requests to the loyalty API as a test wants them, malformed ones included, and what every problem document must look like. */
import { expect } from 'chai'
import type { Answer, Member } from './member.ts'

// biome-ignore lint/suspicious/noExplicitAny: bodies are asserted field by field; their types are the contract tests' business
type Body = any

export interface RawRequest {
  method?: string
  /** Null leaves one of the member's own headers out. */
  headers?: Record<string, string | null>
  /** An object is sent as JSON; a string as it is, as JSON unless a header says otherwise. */
  body?: unknown
}

/** One request with the headers of `member`, changed as told. base: address of the process asked. */
export async function request(
  base: string,
  member: Member,
  path: string,
  options: RawRequest = {},
): Promise<Answer<Body>> {
  const { body, method = body === undefined ? 'GET' : 'POST' } = options
  const headers = new Headers(member.headers)
  if (body !== undefined) headers.set('Content-Type', 'application/json')
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (value === null) headers.delete(name)
    else headers.set(name, value)
  }
  const sent = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(`${base}${path}`, { method, headers, body: sent })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text ? JSON.parse(text) : undefined,
    token: response.headers.get('Consistency-Token'),
  }
}

const prefix = 'https://api.loyalty-middleware.com/errors/'

/** Asserts the wrapped problem of the contract's section 4, member by member; `extra` are the members beyond the standard five. */
export function expectProblem(
  answer: Answer<Body>,
  expected: {
    status: number
    type: string
    title: string
    detail?: string
    instance?: string
    extra?: Record<string, unknown>
  },
): void {
  const { status, type, title, detail, instance, extra = {} } = expected
  expect(answer.status, JSON.stringify(answer.body)).to.equal(status)
  expect(answer.headers.get('content-type')).to.match(/^application\/json\b/)
  expect(Object.keys(answer.body)).to.deep.equal(['error'])
  const { error } = answer.body
  expect(error).to.include({ type: prefix + type, title, status })
  expect(error.detail)
    .to.be.a('string')
    .that.does.not.match(/https?:|\n\s*at |node_modules|127\.0\.0\.1/)
  if (detail !== undefined) expect(error.detail).to.equal(detail)
  expect(error.instance).to.match(/^\/api\/v1\//)
  if (instance !== undefined) expect(error.instance).to.equal(instance)
  const { type: _t, title: _n, status: _s, detail: _d, instance: _i, ...members } = error
  expect(members).to.deep.equal(extra)
}

/** Asserts the limit's headers; returns their numbers. */
export function rateLimitOf({ headers }: Answer<unknown>): {
  limit: number
  remaining: number
  resetInSeconds: number
} {
  const number = (name: string) => {
    const value = headers.get(name)
    expect(value, name).to.match(/^\d+$/)
    return Number(value)
  }
  const resetInSeconds = number('x-ratelimit-reset') - Date.now() / 1000
  expect(resetInSeconds, 'X-RateLimit-Reset lies ahead, within the window').to.be.within(-1, 61)
  return { limit: number('x-ratelimit-limit'), remaining: number('x-ratelimit-remaining'), resetInSeconds }
}
