/** Open steps that should have been worked on by now: what the sweep hands to the queues again (P9). */
import type { StepJob, SweptSteps } from '@portolan/schemas/steps.ts'
import type pg from 'pg'

interface StepRow {
  tenant_id: string
  stream: string
  step: string
  attempt: number
  due_at: Date
  deadline: Date
  input: Record<string, unknown>
  correlation_id: string
  causation_id: string
  mock_error: string | null
  traceparent: string | null
}

/**
 * A page of the unclaimed steps of all tenants that fell due more than `graceMs` ago: of every tenant and step the oldest that
 * no earlier page held. limit: in all; eachMax: of one tenant and step, so that one tenant cannot crowd out the others (P12).
 * seen: where the earlier pages ended, see schemas/src/steps.ts.
 */
export async function findOverdueSteps(
  pool: pg.Pool,
  { graceMs, limit, eachMax, seen = [] }: { graceMs: number; limit: number; eachMax: number; seen?: SweptSteps[] },
): Promise<StepJob[]> {
  const groups = seen.map(({ tenantId, step, upTo }) => {
    return { tenant_id: tenantId, step, due_at: upTo?.dueAt ?? null, stream: upTo?.stream ?? null }
  })
  const { rows } = await pool.query<StepRow>({
    name: 'overdue-steps',
    text: `select * from overdue_steps(clock_timestamp() - make_interval(secs => $1 / 1000.0), $2, $3, $4)`,
    values: [graceMs, limit, eachMax, JSON.stringify(groups)],
  })
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    stream: row.stream,
    step: row.step,
    attempt: row.attempt,
    dueAt: row.due_at.toISOString(),
    deadline: row.deadline.toISOString(),
    input: row.input,
    correlationId: row.correlation_id,
    causationId: row.causation_id,
    ...(row.mock_error && { mockError: row.mock_error }),
    ...(row.traceparent && { traceparent: row.traceparent }),
  }))
}
