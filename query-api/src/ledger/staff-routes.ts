/** `GET /ops/ledger`: double-entry lines, newest first, and the sums that must be zero. Behind the staff authentication. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { queriedInstantSchema } from '@portolan/schemas/envelope.ts'
import { type Ledger, type LedgerQuery, ledgerQuerySchema } from '@portolan/schemas/ops/views.ts'
import { Router } from 'express'
import type pg from 'pg'
import { z } from 'zod'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import type { StaffRead } from '../staff-reads.ts'

interface LineRow {
  tenant_id: string
  stream: string
  stream_version: number
  line: number
  account: string
  currency: string
  amount: number
  kind: string
  booking_id: string
  member_id: string | null
  at: Date
}

const cursorSchema = z.tuple([queriedInstantSchema, z.string(), z.string(), z.int(), z.int().min(0).max(32_767)])
type After = z.infer<typeof cursorSchema> | null

/** Rejects: validation-error, read-model-behind. */
export function createLedgerRoutes(deps: { staffRead: StaffRead }): Router {
  const routes = Router()
  routes.get('/ops/ledger', async (req, res) => {
    const query = parseInput(ledgerQuerySchema, req.query)
    const after = decodeCursor(cursorSchema, query.cursor)
    const queries = [linePage(query, after), sums(query)]
    const [lines, added] = await deps.staffRead(req, res, { models: ['ledger'], queries })
    res.json(ledgerBody(query.limit, lines?.rows ?? [], added?.rows ?? []))
  })
  return routes
}

function linePage(query: LedgerQuery, after: After): pg.QueryConfig {
  const { conditions, values } = filterOf(query)
  if (after) {
    conditions.push(
      `(at, tenant_id, stream, stream_version, line) < (${after.map((part) => `$${values.push(part)}`).join(', ')})`,
    )
  }
  return {
    text: `select tenant_id, stream, stream_version, line, account, currency, amount, kind, booking_id, member_id, at
           from read_models.ledger_lines
           where ${['true', ...conditions].join(' and ')}
           order by at desc, tenant_id desc, stream desc, stream_version desc, line desc
           limit $${values.push(query.limit + 1)}`,
    values,
  }
}

/** With a filter by member or booking the lines are added up, otherwise the balances, which are kept. */
function sums(query: LedgerQuery): pg.QueryConfig {
  const { conditions, values } = filterOf(query)
  const isOfLines = query.memberId !== undefined || query.bookingId !== undefined
  const [column, table] = isOfLines ? ['amount', 'ledger_lines'] : ['balance', 'ledger_balances']
  return {
    text: `select tenant_id, currency, sum(${column})::bigint as sum from read_models.${table}
           where ${['true', ...conditions].join(' and ')}
           group by tenant_id, currency order by tenant_id, currency`,
    values,
  }
}

function filterOf({ tenantId, memberId, bookingId }: LedgerQuery): { conditions: string[]; values: unknown[] } {
  const given = Object.entries({ tenant_id: tenantId, member_id: memberId, booking_id: bookingId }).filter(
    ([, value]) => value !== undefined,
  )
  return { conditions: given.map(([column], i) => `${column} = $${i + 1}`), values: given.map(([, value]) => value) }
}

function ledgerBody(
  limit: number,
  found: readonly LineRow[],
  added: readonly { tenant_id: string; currency: string; sum: number }[],
): Ledger {
  const rows = found.slice(0, limit)
  const last = rows.at(-1)
  return {
    lines: rows.map((row) => ({
      tenantId: row.tenant_id,
      entryId: `${row.stream}/${row.stream_version}`,
      account: row.account,
      memberId: row.member_id,
      bookingId: row.booking_id,
      kind: row.kind,
      amount: row.amount,
      currency: row.currency,
      at: row.at.toISOString(),
    })),
    sums: added.map(({ tenant_id, currency, sum }) => ({ tenantId: tenant_id, currency, sum })),
    nextCursor:
      last && found.length > limit
        ? encodeCursor([last.at.toISOString(), last.tenant_id, last.stream, last.stream_version, last.line])
        : null,
  }
}
