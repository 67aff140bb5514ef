/** Reads by staff: whose rows they see, and what they wait for. */
import { STAFF_POSITIONS } from '@portolan/infra/consistency-token.ts'
import type { StaffIdentity } from '@portolan/infra/http/credentials.ts'
import { staffOf } from '@portolan/infra/http/staff-auth.ts'
import { withTenant } from '@portolan/infra/postgres.ts'
import type { Request, Response } from 'express'
import type pg from 'pg'
import type { ConsistentRead } from './consistent-read.ts'
import type { ReadModel } from './read-models.ts'

/**
 * Runs queries in one transaction once the read models reflect what this account wrote. An account of one tenant reads as
 * that tenant, any other as the role that row-level security lets see all. Returns the results in order.
 * Rejects: as ConsistentRead.
 */
export type StaffRead = (
  req: Request,
  res: Response,
  read: { models: readonly ReadModel[]; stream?: string; queries: readonly pg.QueryConfig[] },
) => Promise<pg.QueryResult[]>

export function createStaffRead(deps: { pool: pg.Pool; consistentRead: ConsistentRead }): StaffRead {
  return async (req, res, { models, stream, queries }) => {
    const staff = staffOf(res)
    const reader = {
      rememberedTenant: STAFF_POSITIONS,
      tenantId: staff.tenantScope,
      principal: `staff:${staff.accountId}`,
    }
    await deps.consistentRead(req, res, reader, models, stream)
    return queryAsStaff(deps.pool, staff, queries)
  }
}

async function queryAsStaff(
  pool: pg.Pool,
  { tenantScope }: StaffIdentity,
  queries: readonly pg.QueryConfig[],
): Promise<pg.QueryResult[]> {
  if (tenantScope !== null) return withTenant(pool, tenantScope, queries)
  const takeRole = { text: "select set_config('role', 'portolan_staff_reader', true)" }
  return (await withTenant(pool, '', [takeRole, ...queries])).slice(1)
}
