/** Streams that a consumer could not go on with: what is parked, and trying again. */
import { consumerGroups } from '@portolan/schemas/topics.ts'
import { Obstacle } from '../launch/say.ts'
import { waitUntil } from '../launch/wait.ts'
import type { Command, Outcome } from './command.ts'
import type { Connections } from './connect.ts'
import type { Row } from './table.ts'

const retryWithinMs = 15_000

const parked: Command = {
  name: 'parked',
  takes: [],
  help: 'streams whose event a consumer could not apply, with the reason; they wait for a retry',
  async run(connections, { tenant, limit }) {
    const rows = [...(await parkedByProjections(connections, tenant)), ...(await parkedByWorkers(connections, tenant))]
    return { rows: rows.slice(0, limit), none: 'nothing is parked', isGood: rows.length === 0 }
  },
}

async function parkedByProjections({ read }: Connections, tenant: string | undefined): Promise<Row[]> {
  const { rows } = await read.query<Row>(
    `select projection || '.v' || version as consumer, tenant_id as tenant, stream, attempts,
       (select count(*) from parked_events e where (e.projection, e.version, e.tenant_id, e.stream) = (p.projection, p.version, p.tenant_id, p.stream)) as events,
       to_char(parked_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since, reason
     from parked_streams p where $1::text is null or tenant_id = $1
     order by parked_at`,
    [tenant],
  )
  return rows
}

async function parkedByWorkers({ write }: Connections, tenant: string | undefined): Promise<Row[]> {
  const { rows } = await write.query<Row>(
    `select consumer, tenant_id as tenant, stream, 1 as attempts, count(*) as events,
       to_char(min(parked_at) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since,
       (array_agg(reason order by stream_version) filter (where reason is not null))[1] as reason
     from parked_events where $1::text is null or tenant_id = $1
     group by consumer, tenant_id, stream order by min(parked_at)`,
    [tenant],
  )
  return rows
}

const retry: Command = {
  name: 'retry',
  takes: ['<consumer>', '<stream>'],
  help: 'applies a parked stream’s events again, in order; the consumer as `parked` names it',
  async run(connections, args) {
    const [consumer = '', stream = ''] = args.values
    const found = [
      ...(await parkedByProjections(connections, args.tenant)),
      ...(await parkedByWorkers(connections, args.tenant)),
    ]
    const matching = found.filter((row) => row.consumer === consumer && row.stream === stream)
    const [only] = matching
    if (!only) throw new Obstacle(`${consumer} has not parked ${stream}: \`npm run ops -- parked\` lists what is.`)
    if (matching.length > 1)
      throw new Obstacle(`Several tenants have a parked stream ${stream}: name one with --tenant.`)
    const tenant = String(only.tenant)
    return consumer === consumerGroups.dispatch
      ? release(connections, consumer, tenant, stream)
      : retryProjection(connections, consumer, tenant, stream)
  },
}

/** Dispatch derives nothing from its parked events that the sweep would not find, so letting the stream flow again is all. */
async function release(
  { commandApi }: Connections,
  consumer: string,
  tenantId: string,
  stream: string,
): Promise<Outcome> {
  await commandApi.post(`/internal/parked/${consumer}/release`, { tenantId, stream })
  return { notes: [`${stream} of ${tenantId} is released; the sweep picks its open steps up`] }
}

async function retryProjection(
  { read }: Connections,
  consumer: string,
  tenant: string,
  stream: string,
): Promise<Outcome> {
  const dot = consumer.lastIndexOf('.v')
  const key = [consumer.slice(0, dot), Number(consumer.slice(dot + 2)), tenant, stream]
  const where = 'where projection = $1 and version = $2 and tenant_id = $3 and stream = $4'
  await read.query(`update parked_streams set retry_requested_at = now() ${where}`, key)
  const settled = await waitUntil(
    async () => {
      const { rows } = await read.query<{ asked: boolean; reason: string }>(
        `select retry_requested_at is not null as asked, reason from parked_streams ${where}`,
        key,
      )
      const [row] = rows
      if (!row) return { reason: null }
      return row.asked ? undefined : { reason: row.reason }
    },
    { withinMs: retryWithinMs, everyMs: 200 },
  )
  if (!settled)
    throw new Obstacle('Nobody took the retry up: is the projections process running? It is carried out once it does.')
  if (settled.reason === null) return { notes: [`${stream} of ${tenant} is applied and no longer parked`] }
  return { notes: [`${stream} of ${tenant} failed again: ${settled.reason}`], isGood: false }
}

export const parkedCommands: readonly Command[] = [parked, retry]
