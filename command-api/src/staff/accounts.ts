/** Staff accounts: the event says who may come in and as what; e-mail and password stand in a table only. */
import { Rejection } from '@portolan/schemas/errors.ts'
import { type StaffEvent, type StaffRole, staffEvents } from '@portolan/schemas/staff/messages.ts'
import { staffAccountStream, topics } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import type { CommandContext, CommandHandler } from '../event-store/handle-command.ts'
import type { StreamType } from '../event-store/stream-type.ts'
import { PLATFORM_TENANT } from '../platform-tenant.ts'
import { hashPassword } from './passwords.ts'

const PASSWORD_LENGTH_MIN = 12

export interface StaffAccount {
  accountId: string
  role: StaffRole
  /** The only tenant this account may act for; null for every tenant. */
  tenantScope: string | null
}

export interface NewStaffAccount {
  email: string
  /** At least 12 characters. */
  password: string
  role: StaffRole
  tenantScope: string | null
}

export type StaffState = { status: 'unknown' } | ({ status: 'created' } & StaffAccount)

export const staffStreamType: StreamType<StaffState, StaffEvent> = {
  topic: topics.staff,
  catalogue: staffEvents,
  initialState: () => ({ status: 'unknown' }),
  evolve: (_state, { data: { accountId, role, tenantScope } }) => ({ status: 'created', accountId, role, tenantScope }),
}

/** Creates an account; [] when it exists. Rejects: validation-error when a role and its scope do not fit together. */
export function decideCreation(account: StaffAccount, state: StaffState, now: string): StaffEvent[] {
  if (state.status === 'created') return []
  if (account.role === 'tenant-admin' && account.tenantScope === null) {
    throw new Rejection('validation-error', 'tenantScope: A tenant admin needs a tenant', {
      errors: [{ field: 'tenantScope', message: 'A tenant admin needs a tenant' }],
    })
  }
  return [{ type: 'StaffAccountCreated', data: { ...account, at: now } }]
}

/**
 * Creates a staff account. Returns its id.
 * Rejects: validation-error (password too short, role without its scope), conflict when the e-mail has an account already.
 */
export async function createStaffAccount(
  deps: { handle: CommandHandler; newId: () => string },
  context: Omit<CommandContext, 'tenantId'>,
  { email, password, role, tenantScope }: NewStaffAccount,
): Promise<string> {
  if (password.length < PASSWORD_LENGTH_MIN) {
    const message = `Must have at least ${PASSWORD_LENGTH_MIN} characters`
    throw new Rejection('validation-error', `password: ${message}`, { errors: [{ field: 'password', message }] })
  }
  const accountId = deps.newId()
  const account = { accountId, role, tenantScope }
  const passwordHash = await hashPassword(password)
  await deps.handle({
    context: { ...context, tenantId: PLATFORM_TENANT },
    streams: { account: { type: staffStreamType, stream: staffAccountStream(accountId), isNew: true } },
    decide: ({ account: state }, now) => ({
      events: { account: decideCreation(account, state, now) },
      effects: [{ name: 'create_staff_account', args: { ...account, email: normalEmail(email), passwordHash } }],
    }),
  })
  return accountId
}

/** Whether an e-mail has an account. */
export async function hasStaffAccount(pool: pg.Pool, email: string): Promise<boolean> {
  const { rowCount } = await pool.query('select from staff_accounts where email = $1', [normalEmail(email)])
  return rowCount === 1
}

/** E-mails of staff are compared without regard to case. */
export const normalEmail = (email: string): string => email.trim().toLowerCase()
