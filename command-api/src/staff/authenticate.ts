/** Who a staff access token belongs to. Signature and expiry are checked first, then that its session is still open. */
import type { IntrospectionAnswer } from '@portolan/infra/http/credentials.ts'
import type { KeyRing } from '../personal-data/key-ring.ts'
import { verifyAccessToken } from './access-tokens.ts'
import type { StaffSessions } from './sessions.ts'

/** The account, or the refusal: every way a token can be wrong is the same `unauthorized`. */
export async function authenticateStaff(
  deps: { ring: KeyRing; sessions: Pick<StaffSessions, 'findAccount'> },
  token: string,
): Promise<IntrospectionAnswer> {
  const claims = verifyAccessToken(deps.ring, token)
  const account = claims && (await deps.sessions.findAccount(claims.sessionId, claims.accountId))
  if (!account) return { kind: 'refused', code: 'unauthorized', detail: 'Sign in again', members: {} }
  return { kind: 'staff', ...account }
}
