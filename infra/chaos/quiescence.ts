/** Whether the system has come to rest: nothing is open that a machine could still do, and everybody has read to the end of the log. */
import { behindIn } from './invariants/behind.ts'
import type { Laboratory } from './laboratory.ts'

const EVERY_MS = 500
/** Looked at twice, since one look at several processes is no snapshot. */
const LOOKS = 2

/** Waits for rest. Returns what was still open when time ran out, one sentence each; [] when the system rests. */
export async function waitForRest(
  lab: Laboratory,
  withinMs: number,
  onLook: (open: string[]) => void,
): Promise<string[]> {
  const deadline = performance.now() + withinMs
  let quiet = 0
  for (;;) {
    const open = await openWork(lab).catch((error: Error) => [`cannot be asked: ${error.message}`])
    onLook(open)
    quiet = open.length === 0 ? quiet + 1 : 0
    if (quiet >= LOOKS) return []
    if (performance.now() > deadline) return open
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
}

async function openWork(lab: Laboratory): Promise<string[]> {
  const found = await Promise.all([openSteps(lab), unsent(lab), unread(lab), undispatched(lab)])
  return found.flat()
}

/**
 * An operator's decision may stay open: that is where it ends for machines. So may what waits for that decision: the end of the hold that
 * it is about, days ahead, and a refund of a member whose last movement it is about. (A deduction gives up before long.)
 */
async function openSteps({ query, writeUrl }: Laboratory): Promise<string[]> {
  const rows = await query<{ tenant: string; stream: string; step: string; due: Date; claimed: Date | null }>(
    writeUrl,
    `with members as (
       select tenant_id, stream, data ->> 'memberId' as member from events where type = 'BookingRequested'
     ),
     decisions as (
       select tenant_id, stream, member, input ->> 'of' as about
       from open_steps join members using (tenant_id, stream) where step = 'operator-decision'
     )
     select tenant_id as tenant, stream, step, due_at as due, claimed_until as claimed
     from open_steps o left join members m using (tenant_id, stream)
     where step <> 'operator-decision'
       and not (step = 'hold-expiry' and due_at > now() + interval '10 minutes' and exists (
         select from decisions d where d.tenant_id = o.tenant_id and d.stream = o.stream))
       and not (step = 'refund' and claimed_until is null and exists (
         select from decisions d where d.tenant_id = o.tenant_id and d.member = m.member and d.about in ('deduct', 'refund')))
     order by due_at`,
  )
  return rows.map(({ tenant, stream, step, due, claimed }) => {
    const since = claimed ? `claimed until ${claimed.toISOString()}` : `due ${due.toISOString()}`
    return `${step} of ${tenant}/${stream}, ${since}`
  })
}

/** The one relay that leads says how far Kafka is behind. */
async function unsent({ fleet }: Laboratory): Promise<string[]> {
  const relays = await Promise.all(fleet.names('relay').map((name) => metricsOf(fleet.url(name))))
  const leading = relays.filter((metrics) => sum(metrics, 'portolan_relay_leading') > 0)
  if (leading.length !== 1) return [`${leading.length} relays lead`]
  const lag = sum(leading[0] ?? '', 'portolan_relay_lag_events')
  return lag > 0 ? [`the relay has ${lag} events to send`] : []
}

/** Read models that have not read the log as it stands to its end. */
export async function unread({
  query,
  writeUrl,
  readUrl,
}: Pick<Laboratory, 'query' | 'writeUrl' | 'readUrl'>): Promise<string[]> {
  const heads = await query<{ topic: string; partition: number; position: string; generation: number }>(
    writeUrl,
    'select topic, partition, position, generation from log_heads cross join log_state',
  )
  const log = { generation: heads[0]?.generation ?? 1, heads: heads.map(withNumber) }
  const rows = await query<{ reader: string; topic: string; generation: number; partition: number; position: string }>(
    readUrl,
    `select v.name || '.v' || v.version as reader, c.topic, c.generation, c.partition, c.position
     from projection_versions v join projection_checkpoints c on c.projection = v.name and c.version = v.version
     where v.status = 'live'`,
  )
  if (rows.length === 0) return ['no read model has begun']
  return [...Map.groupBy(rows, ({ reader }) => reader)].flatMap(([reader, own]) => {
    const where = behindIn(log, own.map(withNumber))
    return where.length > 0 ? [`${reader} is behind in ${where.join(', ')}`] : []
  })
}

const withNumber = <Row extends { position: string }>(row: Row) => ({ ...row, position: Number(row.position) })

/** Each workers process says how far it is behind in the partitions that it owns. */
async function undispatched({ fleet }: Laboratory): Promise<string[]> {
  const workers = await Promise.all(fleet.names('workers').map((name) => metricsOf(fleet.url(name))))
  const lag = workers.reduce((total, metrics) => total + sum(metrics, 'portolan_consumer_lag_records'), 0)
  return lag > 0 ? [`dispatch has ${lag} records to read`] : []
}

async function metricsOf(url: string): Promise<string> {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(2000) })
  return response.text()
}

/** All samples of a metric added up. */
function sum(metrics: string, name: string): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
