/**
 * The write database goes back to an earlier backup, as an operator would do it after losing the newer one: what writes to it is stopped,
 * the backup is restored, everything is started again, and the log is republished. What the backup lacks is lost by definition; it is
 * noted as such, before it goes.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { WRITE_DATABASE } from '../launch/databases.ts'
import { findPostgresBin } from '../launch/own-postgres.ts'
import { waitUntil } from '../launch/wait.ts'
import type { Evidence, StoredEvent } from './evidence.ts'
import { readCounts, readKafka } from './invariants/read-kafka.ts'
import { storedEventColumns } from './invariants/read-store.ts'
import type { Laboratory } from './laboratory.ts'

const run = promisify(execFile)
const REFUSED_WITHIN_MS = 30_000
const RELAYED_WITHIN_MS = 10_000
const REPUBLISH_TRIES = 5

type Lost = Pick<Evidence, 'lostEvents' | 'lostAndSent' | 'lostKeys'>
type KeyRow = Evidence['lostKeys'][number]

/** Takes a backup now; `restore` goes back to it. */
export async function takeBackup(lab: Laboratory): Promise<string> {
  const file = `${lab.folder}/write-${Date.now()}.dump`
  await run(`${await findPostgresBin()}/pg_dump`, [
    '--format=custom',
    '--create',
    `--file=${file}`,
    `--dbname=${lab.writeUrl}`,
  ])
  return file
}

/**
 * Goes back to the backup and republishes. Returns how many events were lost, how many of them Kafka held, and whether a relay refused to go
 * on before it was told to, where it could know; adds the events and the lost keys to `lost`.
 */
export async function restore(
  lab: Laboratory,
  backup: string,
  lost: Lost,
): Promise<{ events: number; sent: number; keys: number; isRefused: boolean }> {
  const { fleet } = lab
  const log = { kafka: kafkaOf(lab), generation: await generationOf(lab) }
  await untilRelayed(lab, log)
  const writers = [...fleet.names('command-api'), ...fleet.names('relay')]
  await Promise.all(writers.map((name) => fleet.hold(name, 'SIGKILL')))
  const { events, sent, keys } = await goBack(lab, backup, log).finally(() => {
    for (const name of writers) fleet.release(name)
  })
  lost.lostEvents.push(...events)
  lost.lostAndSent.push(...sent.map(({ eventId }) => eventId))
  lost.lostKeys.push(...keys)
  // What never reached Kafka nobody can know of.
  const isRefused =
    sent.length > 0 ? await waitUntil(() => refuses(lab), { withinMs: REFUSED_WITHIN_MS, everyMs: 200 }) : true
  await republish(lab)
  return { events: events.length, sent: sent.length, keys: keys.length, isRefused: isRefused === true }
}

/** Replaces the database while nobody writes or sends. Returns what is lost. */
async function goBack(
  lab: Laboratory,
  backup: string,
  { kafka, generation }: Log,
): Promise<{ events: StoredEvent[]; sent: StoredEvent[]; keys: KeyRow[] }> {
  const { query, servers } = lab
  const [before, records] = await Promise.all([contents(lab), readKafka(kafka, generation)])
  await query(servers.url('postgres'), `drop database ${WRITE_DATABASE} with (force)`)
  await run(`${await findPostgresBin()}/pg_restore`, [
    '--create',
    '--exit-on-error',
    `--dbname=${servers.url('postgres')}`,
    backup,
  ])
  const after = await contents(lab)
  const keptEvents = new Set(after.events.map(({ eventId }) => eventId))
  const keptKeys = new Set(after.keys.map(nameOfKey))
  const held = new Set(records.map(({ eventId }) => eventId))
  const events = before.events.filter(({ eventId }) => !keptEvents.has(eventId))
  return {
    events,
    sent: events.filter(({ eventId }) => held.has(eventId)),
    keys: before.keys.filter((row) => !keptKeys.has(nameOfKey(row))),
  }
}

interface Log {
  kafka: Evidence['kafka']
  generation: number
}

const kafkaOf = ({ servers, topicPrefix }: Laboratory) => ({ brokers: [servers.url('kafka')], topicPrefix })

async function generationOf({ query, writeUrl }: Laboratory): Promise<number> {
  const [state] = await query<{ generation: number }>(writeUrl, 'select generation from log_state')
  return state?.generation ?? 1
}

/**
 * Lets the relay send what is stored by now, so that some of what gets lost is in Kafka. Records may repeat, so their number does not prove
 * it; what Kafka really held is read later.
 */
async function untilRelayed({ query, writeUrl }: Laboratory, { kafka, generation }: Log): Promise<void> {
  const heads = await query<{ topic: string; partition: number; position: string }>(
    writeUrl,
    'select topic, partition, position from log_heads',
  )
  const isSent = async () => {
    const counts = await readCounts(kafka, generation)
    return heads.every(
      ({ topic, partition, position }) => (counts.get(`${topic}/${partition}`) ?? 0) >= Number(position),
    )
  }
  await waitUntil(isSent, { withinMs: RELAYED_WITHIN_MS, everyMs: 200 })
}

/** Whether a relay says that log and copy contradict each other. */
async function refuses({ fleet }: Laboratory): Promise<boolean> {
  const said = await Promise.all(
    fleet.names('relay').map(async (name) => {
      const response = await fetch(`${fleet.url(name)}/health/ready`, { signal: AbortSignal.timeout(2000) })
      return (await response.json()) as { parts?: { log?: boolean } }
    }),
  )
  return said.some(({ parts }) => parts?.log === false)
}

/** Other faults go on meanwhile, so the command may fail: then it is given again, as an operator would. */
async function republish(lab: Laboratory): Promise<void> {
  for (let left = REPUBLISH_TRIES; ; left--) {
    try {
      await lab.runEntry(
        'infra/ops/main.ts',
        ['log', 'republish', 'the laboratory restored a backup', '--yes'],
        lab.opsEnv,
      )
      return
    } catch (error) {
      if (left === 1) throw error
    }
  }
}

async function contents({ query, writeUrl }: Laboratory): Promise<{ events: StoredEvent[]; keys: KeyRow[] }> {
  const events = await query<StoredEvent>(
    writeUrl,
    `select ${storedEventColumns} from events order by topic, partition, position`,
  )
  const keys = await query<KeyRow>(
    writeUrl,
    'select tenant_id as "tenantId", principal, method, path, key from idempotency_keys',
  )
  return { events, keys }
}

const nameOfKey = (row: KeyRow) => JSON.stringify([row.tenantId, row.principal, row.method, row.path, row.key])
