/**
 * Group commit: concurrent commands of this process are committed together, at most 60, in one autocommit statement
 * (`append_commands`, migration 000002), each in a savepoint of its own.
 *
 * A command's way: queued → in a group → committed, or refused with an outcome.
 *   busy (lock timeout, deadlock)                → queued again, to go alone, for a second
 *   the whole statement was answered by an error → each command of the group again, alone
 *   the statement timed out or the connection broke → a fault to the callers: whether it was committed is unknown, and
 *     harmless, because the idempotency record commits with the events
 * A lone command does not wait for company: a group is what gathered while the connections were busy.
 */
import { reach } from '@portolan/infra/kill-points.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type { Metadata } from '@portolan/schemas/envelope.ts'
import { type ProblemCode, problemCodes, Rejection } from '@portolan/schemas/errors.ts'
import type { TopicName } from '@portolan/schemas/topics.ts'
import pg from 'pg'
import { type EncodedCommand, encodeCommand } from './append-encoding.ts'
import type { IdempotencyScope } from './idempotency.ts'

export interface NewEvent {
  eventId: string
  type: string
  schemaVersion: number
  data: unknown
  metadata: Metadata
}

export interface StreamAppend {
  stream: string
  topic: TopicName
  partition: number
  /** Version the decision was made on. */
  expected: number
  /** May be empty: the version is checked all the same. */
  events: NewEvent[]
}

/**
 * A function `effects.<name>(tenant text, args jsonb)` of the write database, run in the command's savepoint. To refuse the
 * command it raises SQLSTATE PT001 with a problem code as message, a sentence as detail, and members as JSON in the hint;
 * PT002 asks for another decision on what changed.
 */
export interface Effect {
  name: string
  args: Record<string, unknown>
  /** Name of what it locks, where two commands could lock several such things in different orders (`slot/17`). */
  lock?: string
  /** Its command is committed in a group of its own: it looks at what others commit, which is not there yet within its group. */
  alone?: boolean
}

export interface AppendCommand {
  tenantId: string
  streams: StreamAppend[]
  effects: Effect[]
  idempotency?: IdempotencyScope & { rejection?: Rejection }
}

export type AppendOutcome =
  /** positions: of all events of the command, in the order of its streams. recordedAt: UTC instant. generation: of the log at commit. */
  | { kind: 'committed'; recordedAt: string; positions: number[]; generation: number }
  /** The idempotency key is taken. */
  | { kind: 'duplicate' }
  /** A stream moved on, or an effect asks for another decision. */
  | { kind: 'conflict' }
  /** An effect refused the command. */
  | { kind: 'refused'; rejection: Rejection }

/** A stream that a commit moved on. */
export interface CommittedStream {
  tenantId: string
  stream: string
  version: number
}

export interface AppendDeps {
  /** Must have `lanes + 1` connections or more, a statement timeout, and no pipelining. */
  pool: pg.Pool
  /** Called once per commit, with the streams it moved on; must not throw. */
  onCommit: (streams: CommittedStream[]) => void
  metrics: Metrics
}

export interface AppendOptions {
  /** Groups that are committed at the same time. */
  lanes?: number
  /** Commands of a group; more than 64 subtransactions of one transaction would spill over. */
  groupMax?: number
  /** How long a command that meets locked rows is tried again. */
  busyMaxMs?: number
}

const GROUP_BYTES_MAX = 4 << 20
/** Before a command that met locked rows is tried again: processes in step with each other would meet again and again. */
const BUSY_PAUSE_MAX_MS = 50
const QUEUE_MAX = 10_000

interface Queued extends EncodedCommand {
  /** When it first met locked rows, by Date.now(). */
  busySince: number | null
  resolve(outcome: AppendOutcome): void
  reject(error: Error): void
}

type Answer = {
  at: string
  generation: number
  heads: [topic: string, partition: number, base: number][] | null
  outcomes: Record<string, [kind: string, ...details: string[]]>
}

/** Creates the process's one appender. Resolves with the command's outcome; rejects with a fault. */
export function createAppender(deps: AppendDeps, { lanes = 2, groupMax = 60, busyMaxMs = 1000 }: AppendOptions = {}) {
  const groupSize = deps.metrics.histogram(
    'append_group_size',
    'Commands committed together',
    [],
    [1, 2, 5, 10, 20, 40, 60],
  )
  let queue: Queued[] = []
  const lonely: Queued[] = []
  const inUse = new Set<string>()
  let running = 0
  let isLonelyRunning = false
  let isScheduled = false

  async function append(command: AppendCommand): Promise<AppendOutcome> {
    if (queue.length >= QUEUE_MAX)
      throw new Rejection('unavailable', 'Too many commands are waiting to be committed', { retry_after: 1 })
    return new Promise((resolve, reject) => {
      const queued = { ...encodeCommand(command), busySince: null, resolve, reject }
      if (command.effects.some(({ alone }) => alone)) lonely.push(queued)
      else queue.push(queued)
      schedule()
    })
  }

  /** After the current turn of the event loop: commands that arrive together are committed together. */
  function schedule(): void {
    if (isScheduled) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      startGroups()
    })
  }

  function startGroups(): void {
    startLonely()
    while (running < lanes) {
      const group = takeGroup()
      if (group.length === 0) break
      running += 1
      void commit(group).finally(() => {
        running -= 1
        startGroups()
      })
    }
  }

  /** Before groups take the same streams again: who had to wait goes first. */
  function startLonely(): void {
    const next = isLonelyRunning ? -1 : lonely.findIndex((queued) => !queued.keys.some((key) => inUse.has(key)))
    const [alone] = next < 0 ? [] : lonely.splice(next, 1)
    if (!alone) return
    isLonelyRunning = true
    for (const key of alone.keys) inUse.add(key)
    void commit([alone]).finally(() => {
      isLonelyRunning = false
      startGroups()
    })
  }

  function takeGroup(): Queued[] {
    const group: Queued[] = []
    const left: Queued[] = []
    let bytes = 0
    for (const queued of queue) {
      const fits = group.length < groupMax && (bytes === 0 || bytes + queued.bytes <= GROUP_BYTES_MAX)
      if (!fits || queued.keys.some((key) => inUse.has(key))) {
        left.push(queued)
        continue
      }
      for (const key of queued.keys) inUse.add(key)
      bytes += queued.bytes
      group.push(queued)
    }
    queue = left
    return group.sort((a, b) => (a.sortKey < b.sortKey ? -1 : 1))
  }

  async function commit(group: Queued[]): Promise<void> {
    groupSize.observe(group.length)
    try {
      settle(group, await sendGroup(deps.pool, group))
    } catch (error) {
      settleFault(group, error as Error)
    } finally {
      for (const queued of group) for (const key of queued.keys) inUse.delete(key)
    }
  }

  function settle(group: Queued[], answer: Answer): void {
    const committed = group.filter((_, index) => !(index + 1 in answer.outcomes))
    if (committed.length > 0) {
      reach('after-append')
      deps.onCommit(committed.flatMap(movedStreams))
    }
    const nextPosition = positionsFrom(answer.heads ?? [])
    const recordedAt = new Date(answer.at).toISOString()
    for (const [index, queued] of group.entries()) {
      const outcome = answer.outcomes[index + 1]
      if (outcome) settleOutcome(queued, outcome)
      else {
        const positions = queued.command.streams.flatMap(({ topic, partition, events }) =>
          events.map(() => nextPosition(topic, partition)),
        )
        queued.resolve({ kind: 'committed', recordedAt, positions, generation: answer.generation })
      }
    }
  }

  function settleOutcome(queued: Queued, [kind, ...details]: [string, ...string[]]): void {
    if (kind === 'duplicate' || kind === 'conflict') queued.resolve({ kind })
    else if (kind === 'refused') settleRefusal(queued, details)
    else if (kind === 'busy') retryAlone(queued, details[0] ?? '')
    else queued.reject(new Error(`a command failed in the database: ${details.join(' ')}`))
  }

  function retryAlone(queued: Queued, where: string): void {
    queued.busySince ??= Date.now()
    if (Date.now() - queued.busySince < busyMaxMs) {
      setTimeout(() => {
        lonely.push(queued)
        schedule()
      }, Math.random() * BUSY_PAUSE_MAX_MS)
    } else if (where === 'key') {
      queued.reject(
        new Rejection('idempotency-busy', 'The first request with this Idempotency-Key is still being worked on'),
      )
    } else queued.reject(new Rejection('version-conflict', 'This resource is being changed by others; try again'))
  }

  function settleFault(group: Queued[], error: Error): void {
    if (group.length > 1 && isNotCommitted(error)) lonely.push(...group)
    else for (const queued of group) queued.reject(new Error('append failed', { cause: error }))
  }

  return { append }
}

export type Appender = ReturnType<typeof createAppender>

async function sendGroup(pool: pg.Pool, group: Queued[]): Promise<Answer> {
  const commands = `[${group.map((queued) => queued.commandText).join(',')}]`
  const events = group.flatMap((queued, index) => queued.eventTexts.map((text) => `{"command":${index + 1},${text}`))
  reach('before-append')
  const { rows } = await pool.query<{ answer: Answer }>({
    name: 'append-commands',
    text: 'select append_commands($1, $2) as answer',
    values: [commands, `[${events.join(',')}]`],
  })
  if (!rows[0]) throw new Error('append_commands gave no answer')
  return rows[0].answer
}

/** A statement answered by an error was rolled back; a timeout says that the server is in trouble, so it is not repeated 60 times. */
function isNotCommitted(error: Error): boolean {
  return error instanceof pg.DatabaseError && !/^(57|55|53|08|XX)/.test(error.code ?? '')
}

function settleRefusal(queued: Queued, [code = '', detail = '', hint = '']: string[]): void {
  if (!Object.hasOwn(problemCodes, code)) {
    queued.reject(new Error(`an effect refused with a code that the catalogue does not know: ${code}`))
    return
  }
  try {
    const members = hint ? (JSON.parse(hint) as Record<string, unknown>) : {}
    queued.resolve({ kind: 'refused', rejection: new Rejection(code as ProblemCode, detail, members) })
  } catch (error) {
    queued.reject(new Error(`the hint of ${code} is not JSON`, { cause: error }))
  }
}

/** Deals out positions in the order in which the database gave them: by command, then by event, per partition. */
function positionsFrom(heads: readonly (readonly [string, number, number])[]) {
  const last = new Map(heads.map(([topic, partition, base]) => [`${topic}/${partition}`, base]))
  return (topic: string, partition: number): number => {
    const position = (last.get(`${topic}/${partition}`) ?? Number.NaN) + 1
    last.set(`${topic}/${partition}`, position)
    return position
  }
}

function movedStreams({ command }: Queued): CommittedStream[] {
  return command.streams
    .filter(({ events }) => events.length > 0)
    .map(({ stream, expected, events }) => ({ tenantId: command.tenantId, stream, version: expected + events.length }))
}
