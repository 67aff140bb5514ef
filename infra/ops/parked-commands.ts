/** Streams that a consumer could not go on with: what is parked, and trying again. */
import { consumerGroups } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import { Obstacle } from '../launch/say.ts'
import { waitUntil } from '../launch/wait.ts'
import { type Command, firstRows, type Outcome } from './command.ts'
import type { Connections } from './connect.ts'
import type { Row } from './table.ts'

const retryWithinMs = 15_000

const parked: Command = {
  name: 'parked',
  takes: [],
  help: 'streams whose event a consumer could not apply, with the reason; they wait for a retry',
  async run(connections, { tenant, limit }) {
    const rows = await findParked(connections, { tenant, limit: limit + 1 })
    return { ...firstRows(rows, limit), none: 'nothing is parked', isGood: rows.length === 0 }
  },
}

interface Wanted {
  tenant?: string | undefined
  /** As `parked` names it. */
  consumer?: string
  stream?: string
  /** Of projections and of workers each. */
  limit: number
}

/** Of projections, then of workers; the oldest of each first. */
async function findParked(connections: Connections, wanted: Wanted): Promise<Row[]> {
  return [...(await parkedByProjections(connections, wanted)), ...(await parkedByWorkers(connections, wanted))]
}

async function parkedByProjections({ read }: Connections, { tenant, consumer, stream, limit }: Wanted): Promise<Row[]> {
  const { rows } = await read.query<Row>(
    `select projection || '.v' || version as consumer, tenant_id as tenant, stream, attempts,
       (select count(*) from parked_events e where (e.projection, e.version, e.tenant_id, e.stream) = (p.projection, p.version, p.tenant_id, p.stream)) as events,
       to_char(parked_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since, reason
     from parked_streams p
     where ($1::text is null or tenant_id = $1)
       and ($2::text is null or projection || '.v' || version = $2) and ($3::text is null or stream = $3)
     order by parked_at limit $4`,
    [tenant, consumer, stream, limit],
  )
  return rows
}

async function parkedByWorkers({ write }: Connections, { tenant, consumer, stream, limit }: Wanted): Promise<Row[]> {
  const { rows } = await write.query<Row>(
    `select consumer, tenant_id as tenant, stream, attempts,
       (select count(*) from parked_events e where (e.consumer, e.tenant_id, e.stream) = (p.consumer, p.tenant_id, p.stream)) as events,
       to_char(parked_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since, reason
     from parked_streams p
     where ($1::text is null or tenant_id = $1)
       and ($2::text is null or consumer = $2) and ($3::text is null or stream = $3)
     order by parked_at limit $4`,
    [tenant, consumer, stream, limit],
  )
  return rows
}

const retry: Command = {
  name: 'retry',
  takes: ['<consumer>', '<stream>'],
  help: 'applies a parked stream’s events again, in order; the consumer as `parked` names it',
  async run(connections, args) {
    const [consumer = '', stream = ''] = args.values
    const [only, ...others] = await findParked(connections, { tenant: args.tenant, consumer, stream, limit: 2 })
    if (!only) throw new Obstacle(`${consumer} has not parked ${stream}: \`npm run ops -- parked\` lists what is.`)
    if (others.length > 0) throw new Obstacle(`Several tenants have a parked stream ${stream}: name one with --tenant.`)
    const tenant = String(only.tenant)
    const look =
      consumer === consumerGroups.dispatch
        ? await askWorkers(connections, consumer, tenant, stream)
        : await askProjections(connections, consumer, tenant, stream)
    return outcomeOf(tenant, stream, await waitUntil(look, { withinMs: retryWithinMs, everyMs: 200 }))
  },
}

/** Tells how a retry went; undefined while nobody has finished it. reason: null when the stream is no longer parked. */
type Look = () => Promise<{ reason: string | null } | undefined>

/** The stream belongs to command-api; a worker tries its events. */
async function askWorkers(
  { commandApi, write }: Connections,
  consumer: string,
  tenantId: string,
  stream: string,
): Promise<Look> {
  await commandApi.post(`/internal/parked/${consumer}/retry`, { tenantId, stream })
  const where = 'where consumer = $1 and tenant_id = $2 and stream = $3'
  return () => lookAt(write, where, [consumer, tenantId, stream])
}

async function askProjections({ read }: Connections, consumer: string, tenant: string, stream: string): Promise<Look> {
  const dot = consumer.lastIndexOf('.v')
  const key = [consumer.slice(0, dot), Number(consumer.slice(dot + 2)), tenant, stream]
  const where = 'where projection = $1 and version = $2 and tenant_id = $3 and stream = $4'
  await read.query(`update parked_streams set retry_requested_at = now() ${where}`, key)
  return () => lookAt(read, where, key)
}

async function lookAt(database: pg.Client, where: string, key: unknown[]): ReturnType<Look> {
  const { rows } = await database.query<{ asked: boolean; reason: string }>(
    `select retry_requested_at is not null as asked, reason from parked_streams ${where}`,
    key,
  )
  const [row] = rows
  if (!row) return { reason: null }
  return row.asked ? undefined : { reason: row.reason }
}

function outcomeOf(tenant: string, stream: string, settled: Awaited<ReturnType<Look>>): Outcome {
  if (!settled)
    throw new Obstacle(
      'Nobody has finished the retry: is the consumer’s process running? It is carried out once it does.',
    )
  if (settled.reason === null) return { notes: [`${stream} of ${tenant} is applied and no longer parked`] }
  return { notes: [`${stream} of ${tenant} failed again: ${settled.reason}`], isGood: false }
}

export const parkedCommands: readonly Command[] = [parked, retry]
