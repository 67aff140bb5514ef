/**
 * Sessions of staff. A sign-in opens one; each refresh token of it is exchanged once for the next.
 *
 *   open ──refresh──► open (next token)
 *   open ──a used token again, or sign-out──► revoked          its access tokens are worthless at once
 *   open ──session lifetime over──► expired
 *
 * Tokens are stored as SHA-256 only. Two who present the same refresh token both lose the session: one of them stole it.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { staffRoleSchema } from '@portolan/schemas/staff/messages.ts'
import type pg from 'pg'
import { normalEmail, type StaffAccount } from './accounts.ts'

const SESSION_HOURS = 12

export interface Session {
  sessionId: string
  refreshToken: string
  account: StaffAccount
}

export type Refreshed =
  | { outcome: 'rotated'; session: Session }
  /** The session was ended: somebody presented a token that had been used. */
  | { outcome: 'reused'; sessionId: string; accountId: string }
  | { outcome: 'unknown' }

export interface StaffCredentials extends StaffAccount {
  passwordHash: string
}

export interface StaffSessions {
  /** Credentials of an account that may sign in; null for an unknown or a disabled one. */
  findCredentials(by: { email: string } | { accountId: string }): Promise<StaffCredentials | null>
  /** passwordHash: what the password was checked against. Null: it was changed meanwhile, or the account disabled. */
  open(credentials: StaffCredentials): Promise<Session | null>
  refresh(refreshToken: string): Promise<Refreshed>
  /** Ends the session a refresh token belongs to, used or not. Nothing happens for an unknown one. */
  end(refreshToken: string): Promise<void>
  /** The account of a session that is still open; null for any other. */
  findAccount(sessionId: string, accountId: string): Promise<StaffAccount | null>
}

/** pool: of the write database, as the role of command-api. */
export function createStaffSessions(pool: pg.Pool): StaffSessions {
  async function findAccount(sessionId: string, accountId: string): Promise<StaffAccount | null> {
    const { rows } = await pool.query({
      name: 'find-staff-session',
      text: `select a.account_id, a.role, a.tenant_scope
             from staff_sessions s join staff_accounts a on a.account_id = s.account_id
             where s.session_id = $1 and s.account_id = $2
               and s.revoked_at is null and s.expires_at > now() and a.disabled_at is null`,
      values: [sessionId, accountId],
    })
    return rows[0] ? toAccount(rows[0]) : null
  }
  return {
    findAccount,
    findCredentials: async (by) => {
      const { rows } = await pool.query(
        `select account_id, role, tenant_scope, password_hash
         from staff_accounts
         where ${'email' in by ? 'email' : 'account_id'} = $1 and disabled_at is null`,
        ['email' in by ? normalEmail(by.email) : by.accountId],
      )
      return rows[0] ? { ...toAccount(rows[0]), passwordHash: rows[0].password_hash } : null
    },
    open: async ({ passwordHash, ...account }) => {
      const sessionId = randomUUID()
      const refreshToken = newRefreshToken()
      // The row's lock: whoever changes the password or disables the account waits and ends this session, or was first.
      const { rowCount } = await pool.query(
        `with account as materialized (
           select account_id from staff_accounts
           where account_id = $1 and password_hash = $5 and disabled_at is null
           for share
         ), expired as (
           delete from staff_sessions where account_id = $1 and expires_at < now()
         ), opened as (
           insert into staff_sessions (session_id, account_id, expires_at)
           select $2, account_id, now() + make_interval(hours => $3) from account
           returning session_id
         )
         insert into refresh_tokens (token_sha256, session_id) select $4, session_id from opened`,
        [account.accountId, sessionId, SESSION_HOURS, sha256(refreshToken), passwordHash],
      )
      return rowCount === 1 ? { sessionId, refreshToken, account } : null
    },
    refresh: async (presented) => {
      const refreshToken = newRefreshToken()
      const { rows } = await pool.query('select * from rotate_refresh_token($1, $2)', [
        sha256(presented),
        sha256(refreshToken),
      ])
      const { outcome, session: sessionId, account: accountId } = rows[0]
      if (outcome === 'unknown') return { outcome }
      if (outcome === 'reused') return { outcome, sessionId, accountId }
      const account = await findAccount(sessionId, accountId)
      // Disabled while signed in.
      if (!account) return { outcome: 'unknown' }
      return { outcome: 'rotated', session: { sessionId, refreshToken, account } }
    },
    end: async (refreshToken) => {
      await pool.query(
        `update staff_sessions s set revoked_at = now()
         from refresh_tokens t
         where t.token_sha256 = $1 and s.session_id = t.session_id and s.revoked_at is null`,
        [sha256(refreshToken)],
      )
    },
  }
}

const newRefreshToken = () => randomBytes(32).toString('base64url')
const sha256 = (text: string) => createHash('sha256').update(text).digest()

function toAccount(row: Record<string, unknown>): StaffAccount {
  return {
    accountId: row.account_id as string,
    role: staffRoleSchema.parse(row.role),
    tenantScope: row.tenant_scope as string | null,
  }
}
