/** Staff accounts: the event says who may come in and as what; e-mail and password stand in a table only. */
import { Rejection } from '@portolan/schemas/errors.ts'
import { type StaffEvent, type StaffRole, staffEvents } from '@portolan/schemas/staff/messages.ts'
import { staffAccountStream, topics } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import type { Effect } from '../event-store/append.ts'
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

export type StaffState = { status: 'unknown' } | ({ status: 'active' | 'disabled' } & StaffAccount)

export const staffStreamType: StreamType<StaffState, StaffEvent> = {
  topic: topics.staff,
  catalogue: staffEvents,
  initialState: () => ({ status: 'unknown' }),
  evolve: evolveAccount,
}

function evolveAccount(state: StaffState, event: StaffEvent): StaffState {
  switch (event.type) {
    case 'StaffAccountCreated': {
      const { accountId, role, tenantScope } = event.data
      return { status: 'active', accountId, role, tenantScope }
    }
    case 'StaffPasswordChanged':
      return state
    case 'StaffAccountDisabled':
      return state.status === 'unknown' ? state : { ...state, status: 'disabled' }
    case 'StaffAccountEnabled':
      return state.status === 'unknown' ? state : { ...state, status: 'active' }
  }
}

/** Creates an account; [] when it exists. Rejects: validation-error when a role and its scope do not fit together. */
export function decideCreation(account: StaffAccount, state: StaffState, now: string): StaffEvent[] {
  if (state.status !== 'unknown') return []
  if (account.role === 'tenant-admin' && account.tenantScope === null) {
    throw new Rejection('validation-error', 'tenantScope: A tenant admin needs a tenant', {
      errors: [{ field: 'tenantScope', message: 'A tenant admin needs a tenant' }],
    })
  }
  return [{ type: 'StaffAccountCreated', data: { ...account, at: now } }]
}

/** Keeps an account out; [] when it is out already. Rejects: not-found. That it is not the last operator is seen to by the database. */
export function decideDisabling(state: StaffState, reason: string, now: string): StaffEvent[] {
  if (state.status === 'unknown') throw new Rejection('not-found', 'There is no such staff account')
  if (state.status === 'disabled') return []
  return [{ type: 'StaffAccountDisabled', data: { accountId: state.accountId, reason, at: now } }]
}

/** Lets an account in again; [] when it is not kept out. Rejects: not-found. */
export function decideEnabling(state: StaffState, reason: string, now: string): StaffEvent[] {
  if (state.status === 'unknown') throw new Rejection('not-found', 'There is no such staff account')
  if (state.status === 'active') return []
  return [{ type: 'StaffAccountEnabled', data: { accountId: state.accountId, reason, at: now } }]
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
  requireLength('password', password)
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

/**
 * Changes an account's password and ends its sessions. formerHash: what the current password was checked against. Returns the new hash.
 * Rejects: validation-error for a short password, conflict when another change came first.
 */
export async function changePassword(
  deps: { handle: CommandHandler },
  context: Omit<CommandContext, 'tenantId'>,
  account: { accountId: string; formerHash: string; newPassword: string },
): Promise<string> {
  const { accountId, formerHash, newPassword } = account
  requireLength('newPassword', newPassword)
  const passwordHash = await hashPassword(newPassword)
  await change(deps, context, accountId, (_, now) => ({
    events: [{ type: 'StaffPasswordChanged', data: { accountId, at: now } }],
    effect: { name: 'change_staff_password', args: { accountId, formerHash, passwordHash } },
  }))
  return passwordHash
}

/** Keeps an account out, or lets it in again. Rejects: not-found; conflict for the last operator. */
export async function setDisabled(
  deps: { handle: CommandHandler },
  context: Omit<CommandContext, 'tenantId'>,
  account: { accountId: string; isDisabled: boolean; reason: string },
): Promise<void> {
  const { accountId, isDisabled, reason } = account
  const [decide, name] = isDisabled
    ? [decideDisabling, 'disable_staff_account']
    : [decideEnabling, 'enable_staff_account']
  await change(deps, context, accountId, (state, now) => ({
    events: decide(state, reason, now),
    effect: { name, args: { accountId } },
  }))
}

/** A command to an account that exists; its effect is left out when nothing happens. */
function change(
  deps: { handle: CommandHandler },
  context: Omit<CommandContext, 'tenantId'>,
  accountId: string,
  decide: (state: StaffState, now: string) => { events: StaffEvent[]; effect: Effect },
) {
  return deps.handle({
    context: { ...context, tenantId: PLATFORM_TENANT },
    streams: { account: { type: staffStreamType, stream: staffAccountStream(accountId) } },
    decide: ({ account }, now) => {
      const { events, effect } = decide(account, now)
      return { events: { account: events }, effects: events.length > 0 ? [effect] : [] }
    },
  })
}

function requireLength(field: string, password: string): void {
  if (password.length >= PASSWORD_LENGTH_MIN) return
  const message = `Must have at least ${PASSWORD_LENGTH_MIN} characters`
  throw new Rejection('validation-error', `${field}: ${message}`, { errors: [{ field, message }] })
}

/** Whether an e-mail has an account. */
export async function hasStaffAccount(pool: pg.Pool, email: string): Promise<boolean> {
  const { rowCount } = await pool.query('select from staff_accounts where email = $1', [normalEmail(email)])
  return rowCount === 1
}

/** E-mails of staff are compared without regard to case. */
export const normalEmail = (email: string): string => email.trim().toLowerCase()
