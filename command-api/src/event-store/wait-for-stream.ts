/**
 * Waiting for a stream to reach a state, without a database connection: after each commit a process publishes the moved
 * streams on Redis, and one query every 250 ms asks for the versions of everything that is waited for in this process,
 * so that a lost message or an absent Redis costs a quarter of a second.
 */
import type { Logger } from '@portolan/infra/log.ts'
import type { createRedis } from '@portolan/infra/redis.ts'
import type pg from 'pg'
import type { CommittedStream } from './append.ts'
import { type Loaded, loadStream } from './read.ts'
import type { StreamType } from './stream-type.ts'

const POLL_MS = 250

export interface WaitDeps {
  /** With pipelining. */
  pool: pg.Pool
  /** Fails fast. */
  redis: ReturnType<typeof createRedis>
  subscriber: ReturnType<typeof createRedis>
  keyPrefix: string
  logger: Logger
  /** Told of each load's (see log-topics.ts). */
  sawGeneration(generation: number): void
}

export interface WaitOptions {
  /** A version known not to be the wanted one: the stream is loaded only once it moved on. */
  fromVersion?: number
  timeoutMs: number
}

export interface Waited<State> extends Loaded<State> {
  /** False when the time was up first. */
  done: boolean
}

interface Waiter {
  tenantId: string
  stream: string
  seenVersion: number
  wake(): void
}

/** Starts waiting for this process: subscribes, and polls while somebody waits. */
export function createStreamWaits({ pool, redis, subscriber, keyPrefix, logger, sawGeneration }: WaitDeps) {
  const channel = `${keyPrefix}streams`
  const waiters = new Map<string, Set<Waiter>>()
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  const onMessage = (from: string, message: string) => {
    // Mostly nobody waits here, and every process hears of every commit.
    if (from === channel && waiters.size > 0) wakeAll(JSON.parse(message) as CommittedStream[])
  }
  subscriber.on('message', onMessage)
  // ioredis subscribes again after a reconnect; until then the poll does.
  subscriber.subscribe(channel).catch((error) => logger.warn('streams not subscribed', { error }))

  function wakeAll(moved: readonly CommittedStream[]): void {
    if (waiters.size === 0) return
    for (const { tenantId, stream, version } of moved) {
      for (const waiter of waiters.get(`${tenantId}/${stream}`) ?? []) {
        if (version > waiter.seenVersion) waiter.wake()
      }
    }
  }

  /** Tells every process's waiters, this one's at once. Call after a commit. */
  function announce(moved: CommittedStream[]): void {
    wakeAll(moved)
    if (redis.status !== 'ready') return
    redis.publish(channel, JSON.stringify(moved)).catch(() => undefined) // the poll finds it
  }

  async function poll(): Promise<void> {
    const all = [...waiters.values()].flatMap((set) => [...set])
    try {
      const { rows } = await pool.query<{ tenant_id: string; stream: string; version: number }>({
        name: 'stream-versions',
        text: 'select tenant_id, stream, version from stream_versions($1, $2)',
        values: [all.map(({ tenantId }) => tenantId), all.map(({ stream }) => stream)],
      })
      wakeAll(rows.map((row) => ({ tenantId: row.tenant_id, stream: row.stream, version: row.version })))
    } catch (error) {
      logger.warn('versions of waiting streams not read', { error })
    }
    timer = waiters.size > 0 && !isStopped ? setTimeout(poll, POLL_MS) : undefined
  }

  /** Resolves when the stream is behind `seenVersion`, when the time is up, or when the process stops. */
  function nextVersion(tenantId: string, stream: string, seenVersion: number, timeoutMs: number): Promise<void> {
    const key = `${tenantId}/${stream}`
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiter: Waiter = { tenantId, stream, seenVersion, wake: resolve }
    const set = waiters.get(key) ?? new Set()
    waiters.set(key, set.add(waiter))
    timer ??= setTimeout(poll, POLL_MS)
    const deadline = setTimeout(resolve, timeoutMs)
    return promise.finally(() => {
      clearTimeout(deadline)
      set.delete(waiter)
      if (set.size === 0) waiters.delete(key)
    })
  }

  /**
   * Waits until `isDone(state)`, at most `timeoutMs`, and answers with the state then.
   * Costs one load at the end, and one for each version in between that was not it; each reads only what the last one had not.
   */
  async function waitFor<State, Event extends { type: string; data: unknown }>(
    tenantId: string,
    type: StreamType<State, Event>,
    stream: string,
    isDone: (state: State) => boolean,
    { fromVersion, timeoutMs }: WaitOptions,
  ): Promise<Waited<State>> {
    const endsAt = performance.now() + timeoutMs
    let seenVersion = fromVersion
    let loaded: Loaded<State> | undefined
    for (;;) {
      const leftMs = endsAt - performance.now()
      if (seenVersion !== undefined && leftMs > 0 && !isStopped) {
        await nextVersion(tenantId, stream, seenVersion, leftMs)
      }
      loaded = await loadStream(pool, tenantId, type, stream, loaded)
      sawGeneration(loaded.generation)
      const done = isDone(loaded.state)
      if (done || isStopped || performance.now() >= endsAt) return { ...loaded, done }
      seenVersion = loaded.version
    }
  }

  /** Lets everybody who waits answer with what there is. */
  async function stop(): Promise<void> {
    isStopped = true
    clearTimeout(timer)
    for (const set of waiters.values()) for (const waiter of set) waiter.wake()
    subscriber.off('message', onMessage)
    if (subscriber.status === 'ready') await subscriber.unsubscribe(channel).catch(() => undefined)
  }

  return { waitFor, announce, stop, waiting: () => waiters.size }
}
