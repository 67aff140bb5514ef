/** The ledger's two invariants as metrics (P7): the sum of every currency is 0, and every balance is the sum of its lines. */
import type { Logger } from '@portolan/infra/log.ts'
import { startRegularly } from '@portolan/infra/regularly.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type pg from 'pg'

/** Adds the live ledger up every `intervalMs` (each statement one snapshot) and says so when it does not balance. Returns how to stop. */
export function watchLedger(
  deps: { pool: pg.Pool; logger: Logger; metrics: Metrics },
  intervalMs: number,
): () => Promise<void> {
  const sum = deps.metrics.gauge('ledger_sum', 'Sum of all ledger balances by currency; must be 0', ['currency'])
  const mismatches = deps.metrics.gauge(
    'ledger_balance_mismatches',
    'Balances that are not the sum of their lines; must be 0',
  )

  async function check(): Promise<void> {
    const { rows: live } = await deps.pool.query<{ version: number }>(
      "select version from projection_versions where name = 'ledger' and status = 'live'",
    )
    const version = live[0]?.version
    if (version === undefined) return
    const sums = await deps.pool.query<{ currency: string; sum: string }>(
      `select currency, sum(balance)::text as sum from ledger_${version}.ledger_balances group by currency`,
    )
    for (const row of sums.rows) sum.set({ currency: row.currency }, Number(row.sum))
    const counted = await deps.pool.query<{ mismatches: number }>(countMismatches(`ledger_${version}`))
    const found = counted.rows[0]?.mismatches ?? 0
    mismatches.set(found)
    if (found > 0 || sums.rows.some((row) => row.sum !== '0'))
      deps.logger.error('the ledger does not balance', { sums: sums.rows, mismatches: found })
  }

  const onError = (error: unknown) => deps.logger.warn('ledger not checked', { error })
  return startRegularly(check, { everyMs: intervalMs, onError }).stop
}

/** schema: of the ledger's tables, from projection_versions. */
function countMismatches(schema: string): string {
  return `
    select count(*) as mismatches
    from (select tenant_id, account, currency, sum(balance) as balance, sum(line_count) as lines
          from ${schema}.ledger_balances group by tenant_id, account, currency) b
    full join (select tenant_id, account, currency, sum(amount) as balance, count(*) as lines
          from ${schema}.ledger_lines group by tenant_id, account, currency) l using (tenant_id, account, currency)
    where b.balance is distinct from l.balance or b.lines is distinct from l.lines`
}
