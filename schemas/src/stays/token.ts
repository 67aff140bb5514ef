/** The token of a guest (contract 2 and 3): any UUID, which is not looked up, and stands for whoever sends it. */

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Where a token may stand; what could not be read is left out. */
export interface TokenPlaces {
  /** The header `Authorization`, each time that it was sent. */
  authorization?: readonly string[] | undefined
  /** The header `X-Access-Token`, likewise. */
  accessTokenHeader?: readonly string[] | undefined
  query?: unknown
  body?: unknown
}

/** The token in lower case; null when none was sent, one is malformed, or two disagree. */
export function readAccessToken({
  authorization = [],
  accessTokenHeader = [],
  query,
  body,
}: TokenPlaces): string | null {
  const sent = [
    ...authorization.map((value) => /^bearer (.*)$/i.exec(value)?.[1]),
    ...accessTokenHeader,
    ...tokensIn(query),
    ...tokensIn(body),
  ]
  const tokens = new Set(
    sent.map((token) => (typeof token === 'string' && uuid.test(token) ? token.toLowerCase() : null)),
  )
  const [token = null] = tokens
  return tokens.size === 1 ? token : null
}

function tokensIn(parameters: unknown): unknown[] {
  if (typeof parameters !== 'object' || parameters === null) return []
  return ['access_token', 'token'].flatMap((name) =>
    Object.hasOwn(parameters, name) ? (parameters as Record<string, unknown>)[name] : [],
  )
}
