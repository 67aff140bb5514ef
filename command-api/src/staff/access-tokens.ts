/** Access tokens of staff: short-lived JWTs that name a session, so that ending the session ends them too. */
import jwt from 'jsonwebtoken'
import type { KeyRing } from '../personal-data/key-ring.ts'

export const ACCESS_TOKEN_SECONDS = 15 * 60

export interface AccessClaims {
  accountId: string
  sessionId: string
}

// Pinned: without them jsonwebtoken would go by the kind of key, or accept a token of another issuer of ours.
const ALGORITHM = 'HS256'
const ISSUER = 'portolan'
const AUDIENCE = 'portolan-staff'
const CLOCK_TOLERANCE_SECONDS = 5

/** Signs a token with the ring's current key. */
export function signAccessToken(ring: KeyRing, { accountId, sessionId }: AccessClaims): string {
  return jwt.sign({ sid: sessionId }, ring.current.key, {
    algorithm: ALGORITHM,
    keyid: ring.current.id,
    issuer: ISSUER,
    audience: AUDIENCE,
    subject: accountId,
    expiresIn: ACCESS_TOKEN_SECONDS,
  })
}

/** The claims of a token that a listed key signed and that has not expired; null for any other. */
export function verifyAccessToken(ring: KeyRing, token: string): AccessClaims | null {
  try {
    const { kid } = jwt.decode(token, { complete: true })?.header ?? {}
    const key = kid ? ring.find(kid) : undefined
    if (!key) return null
    const claims = jwt.verify(token, key.key, {
      algorithms: [ALGORITHM],
      issuer: ISSUER,
      audience: AUDIENCE,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
    })
    if (typeof claims === 'string' || !claims.sub || typeof claims.sid !== 'string') return null
    return { accountId: claims.sub, sessionId: claims.sid }
  } catch {
    return null // every way a token can be wrong means the same: not signed in
  }
}
