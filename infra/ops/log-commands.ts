/** Commands that look at the log: streams, events, how far everybody has read, what waits for a person. */
import { type LogTopicNames, ofGeneration } from '@portolan/infra/log-generation.ts'
import { consumerGroups, topics } from '@portolan/schemas/topics.ts'
import { Obstacle } from '../launch/say.ts'
import { type Arguments, type Command, firstRows } from './command.ts'
import type { Connections } from './connect.ts'
import type { Row } from './table.ts'

const streams: Command = {
  name: 'streams',
  takes: ['[prefix]'],
  help: 'streams by tenant, with their length and place; only those whose name begins with the prefix',
  async run({ write }, { values: [prefix = ''], tenant, limit }) {
    const { rows } = await write.query<Row>(
      `select tenant_id as tenant, stream, version, topic, partition from streams
       where ($1::text is null or tenant_id = $1) and starts_with(stream, $2)
       order by tenant_id, stream limit $3`,
      [tenant, prefix, limit + 1],
    )
    return { ...firstRows(rows, limit), none: 'no such streams' }
  },
}

const events: Command = {
  name: 'events',
  takes: ['<stream>', '[version]'],
  help: 'events of one stream in order, from that version on; --data adds what they hold (personal data stays sealed)',
  async run({ write }, args) {
    const [stream = '', version = '1'] = args.values
    if (!/^\d{1,9}$/.test(version)) throw new Obstacle(`${version} is no version: the first event of a stream has 1.`)
    const tenant = await tenantOf({ write }, stream, args)
    const { rows } = await write.query<Row & { data: string }>(
      `select stream_version as version, position, type, schema_version as schema,
         to_char(recorded_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as recorded,
         concat(metadata #>> '{actor,kind}', ':', metadata #>> '{actor,id}') as actor,
         metadata ->> 'correlationId' as correlation, data::text as data
       from events where tenant_id = $1 and stream = $2 and stream_version >= $3 order by stream_version limit $4`,
      [tenant, stream, version, args.limit + 1],
    )
    const goOn = `\`events ${stream} ${rows.at(-1)?.version}\` goes on`
    const shown = args.data ? rows : rows.map(({ data: _, ...row }) => row)
    return { ...firstRows(shown, args.limit, goOn), none: 'the stream is empty from there' }
  },
}

/** The one tenant that has this stream. Rejects with an Obstacle when none or several have. */
async function tenantOf({ write }: Pick<Connections, 'write'>, stream: string, { tenant }: Arguments): Promise<string> {
  const { rows } = await write.query<{ tenant_id: string }>(
    'select tenant_id from streams where stream = $1 and ($2::text is null or tenant_id = $2) order by 1 limit 10',
    [stream, tenant],
  )
  const [only] = rows
  if (!only)
    throw new Obstacle(
      `There is no stream ${stream}${tenant ? ` of ${tenant}` : ''}: \`npm run ops -- streams\` lists them.`,
    )
  if (rows.length > 1)
    throw new Obstacle(
      `Several tenants have a stream ${stream} (${rows.map((row) => row.tenant_id).join(', ')}): name one with --tenant.`,
    )
  return only.tenant_id
}

const lag: Command = {
  name: 'lag',
  takes: [],
  help: 'how many events each reader of the log is behind the store',
  async run(connections) {
    const heads = await readHeads(connections)
    const { rows: log } = await connections.write.query<{ generation: number }>('select generation from log_state')
    const names = { topicPrefix: connections.topicPrefix, generation: log[0]?.generation ?? 1 }
    const rows = [
      await relayLag(connections, names, heads),
      ...(await projectionLag(connections, heads)),
      await dispatchLag(connections, names, heads),
    ]
    return { rows, isGood: true }
  },
}

type Heads = Map<string, number>

async function readHeads({ write }: Connections): Promise<Heads> {
  const { rows } = await write.query<{ topic: string; partition: number; position: number }>(
    'select topic, partition, position from log_heads',
  )
  return new Map(rows.map(({ topic, partition, position }) => [`${topic}/${partition}`, position]))
}

/** Events of these topics behind the store, given the position that was reached in each partition. */
function behind(heads: Heads, names: readonly string[], reached: ReadonlyMap<string, number>): number {
  const counted = [...heads].filter(([key]) => names.includes(key.slice(0, key.lastIndexOf('/'))))
  return counted.reduce((sum, [key, head]) => sum + Math.max(0, head - (reached.get(key) ?? 0)), 0)
}

async function relayLag({ kafka }: Connections, names: LogTopicNames, heads: Heads): Promise<Row> {
  const existing = new Set(await kafka.listTopics())
  const asked = [...heads.keys()].flatMap((key) => {
    const slash = key.lastIndexOf('/')
    const topic = ofGeneration(names, key.slice(0, slash))
    return existing.has(topic) ? [{ key, topic, partition: Number(key.slice(slash + 1)) }] : []
  })
  const records = await kafka.readLastOfEach(asked.map(({ topic, partition }) => ({ topic, partition })))
  const reached = new Map(asked.map(({ key }, i) => [key, Number(records[i]?.headers.position ?? 0)]))
  return {
    reader: 'relay',
    status: 'to Kafka',
    behind: behind(heads, Object.values(topics), reached),
    stale_seconds: null,
  }
}

async function projectionLag({ read }: Connections, heads: Heads): Promise<Row[]> {
  const { rows } = await read.query<{
    name: string
    version: number
    status: string
    checkpoints: { topic: string; partition: number; position: number }[] | null
    age: number | null
  }>(`
    select v.name, v.version, v.status,
      jsonb_agg(jsonb_build_object('topic', topic, 'partition', partition, 'position', position)) filter (where topic is not null) as checkpoints,
      round(extract(epoch from now() - min(coalesce(current_at, applied_at))))::float8 as age
    from projection_versions v left join projection_checkpoints c on (c.projection, c.version, c.generation) = (v.name, v.version, v.generation)
    where v.status <> 'retired'
    group by v.name, v.version, v.status order by v.name, v.version`)
  return rows.map(({ name, version, status, checkpoints, age }) => {
    const reached = new Map(
      (checkpoints ?? []).map(({ topic, partition, position }) => [`${topic}/${partition}`, position]),
    )
    const names = [...new Set((checkpoints ?? []).map(({ topic }) => topic))]
    // A version without checkpoints has not begun: everything is still before it.
    const events = checkpoints ? behind(heads, names, reached) : null
    return { reader: `${name}.v${version}`, status, behind: events, stale_seconds: age }
  })
}

async function dispatchLag({ kafka }: Connections, names: LogTopicNames, heads: Heads): Promise<Row> {
  const group = ofGeneration(names, consumerGroups.dispatch)
  const offsets = await kafka.groupOffsets(group, [ofGeneration(names, topics.bookings)]).catch(() => [])
  const reached = new Map(
    offsets.map(({ partition, metadata }) => [`${topics.bookings}/${partition}`, Number(metadata ?? 0)]),
  )
  return {
    reader: consumerGroups.dispatch,
    status: offsets.length > 0 ? 'from Kafka' : 'not begun',
    behind: behind(heads, [topics.bookings], reached),
    stale_seconds: null,
  }
}

const unknown: Command = {
  name: 'unknown',
  takes: [],
  help: 'calls whose outcome nobody knows: being reconciled, or waiting for an operator to decide',
  async run({ write }, { tenant, limit }) {
    const { rows } = await write.query<Row>(
      `select tenant_id as tenant, stream, input ->> 'of' as call,
         case step when 'operator-decision' then 'operator' else 'machine' end as waits_for, input ->> 'why' as why,
         to_char(deadline at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as until
       from open_steps
       where step in ('operator-decision', 'reconcile-order', 'reconcile-movement') and ($1::text is null or tenant_id = $1)
       order by step = 'operator-decision' desc, deadline limit $2`,
      [tenant, limit + 1],
    )
    const cut = firstRows(rows, limit)
    const waiting = cut.rows.filter((row) => row.waits_for === 'operator').length
    const notes =
      waiting > 0
        ? [
            `${waiting} wait for a decision: \`outcome <booking>\` shows what is known, \`decide\` says what is true (\`correct\` for what was reported-late)`,
          ]
        : []
    return { rows: cut.rows, none: 'no unknown outcomes', notes: [...cut.notes, ...notes] }
  },
}

const tenants: Command = {
  name: 'tenants',
  takes: [],
  help: 'tenants and their programmes',
  async run({ read }) {
    const { rows } = await read.query<Row>(
      `select tenant_id as tenant, name, settings ->> 'kind' as kind, settings #>> '{currency,name}' as currency,
         (settings #>> '{limits,requestsPerMinute}')::int as requests_per_minute
       from read_models.tenants order by tenant_id`,
    )
    return { rows, none: 'no tenants: `npm start` seeds them' }
  },
}

export const logCommands: readonly Command[] = [streams, events, lag, unknown, tenants]
