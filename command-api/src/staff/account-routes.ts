/** `/ops/staff`: which accounts there are, and keeping one out. Mounted behind the operator authentication. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { staffOf } from '@portolan/infra/http/staff-auth.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { staffRoleSchema } from '@portolan/schemas/staff/messages.ts'
import {
  type StaffAccountList,
  type StaffAccountView,
  staffAccountChangeSchema,
  staffAccountParamsSchema,
  staffAccountsQuerySchema,
} from '@portolan/schemas/staff/views.ts'
import { type RequestHandler, Router } from 'express'
import type pg from 'pg'
import type { CommandHandler } from '../event-store/handle-command.ts'
import { normalEmail, setDisabled } from './accounts.ts'
import { staffContext } from './staff-context.ts'

/** Rejects: validation-error, forbidden, not-found, conflict for the last operator. */
export function createStaffAccountRoutes(deps: { pool: pg.Pool; handle: CommandHandler }): Router {
  const routes = Router()

  routes.get('/ops/staff', requireEveryTenant, async (req, res) => {
    const { email, limit, after } = parseInput(staffAccountsQuerySchema, req.query)
    const found = await findAccounts(deps.pool, { email, limit: limit + 1, after })
    const accounts = found.slice(0, limit)
    const answer: StaffAccountList = {
      accounts,
      nextAfter: found.length > limit ? (accounts.at(-1)?.email ?? null) : null,
    }
    res.json(answer)
  })

  for (const [verb, isDisabled] of [
    ['disable', true],
    ['enable', false],
  ] as const) {
    routes.post(`/ops/staff/:accountId/${verb}`, requireEveryTenant, async (req, res) => {
      const { accountId } = parseInput(staffAccountParamsSchema, req.params)
      const { reason } = parseInput(staffAccountChangeSchema, req.body)
      await setDisabled(deps, staffContext(res), { accountId, isDisabled, reason })
      const [account] = await findAccounts(deps.pool, { accountId, limit: 1 })
      res.json(account)
    })
  }

  return routes
}

/** Accounts belong to no tenant, so an operator of one has no say about them. */
const requireEveryTenant: RequestHandler = (_req, res, next) => {
  if (staffOf(res).tenantScope !== null) throw new Rejection('forbidden', 'Your role does not allow this')
  next()
}

async function findAccounts(
  pool: pg.Pool,
  { accountId, email, after, limit }: { accountId?: string; email?: string; after?: string; limit: number },
): Promise<StaffAccountView[]> {
  const { rows } = await pool.query<Record<'account_id' | 'email' | 'role', string> & Nullable>(
    `select account_id, email, role, tenant_scope, disabled_at from staff_accounts
     where ($1::text is null or account_id = $1) and ($2::text is null or email = $2) and ($3::text is null or email > $3)
     order by email limit $4`,
    [accountId, email && normalEmail(email), after, limit],
  )
  return rows.map((row) => ({
    accountId: row.account_id,
    email: row.email,
    role: staffRoleSchema.parse(row.role),
    tenantScope: row.tenant_scope,
    disabledAt: row.disabled_at?.toISOString() ?? null,
  }))
}

type Nullable = { tenant_scope: string | null; disabled_at: Date | null }
