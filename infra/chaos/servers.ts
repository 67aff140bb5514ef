/**
 * Postgres, Redis and Kafka of the laboratory's own, each in its folder and on its port, to be stopped, killed, wiped and started again.
 * Faults here end processes, never the machine, so nothing has to reach the disk: Postgres runs with fsync off.
 */
import { rmSync } from 'node:fs'
import { isAlive, stopProcess } from '../launch/daemon.ts'
import { startOwnKafka } from '../launch/own-kafka.ts'
import { startOwnPostgres } from '../launch/own-postgres.ts'
import { startOwnRedis } from '../launch/own-redis.ts'
import { type OwnServer, stopOwnServer } from '../launch/own-server.ts'
import { waitUntil } from '../launch/wait.ts'

export type ServerName = 'postgres' | 'redis' | 'kafka'

export interface Servers {
  /** What clients use; the same after every start. */
  url(name: ServerName): string
  /** Sends the signal and resolves when the server is gone. `SIGQUIT` is Postgres's immediate stop, `SIGINT` its fast one. */
  stop(name: ServerName, signal: NodeJS.Signals): Promise<void>
  /** Resolves when the server can be used again. Nothing happens when it runs. */
  start(name: ServerName): Promise<void>
  /** Removes Kafka's data; it must be stopped. */
  wipeKafka(): void
  isUp(name: ServerName): boolean
  /** Stops everything. */
  dispose(): Promise<void>
}

const POSTGRES_SETTINGS = {
  max_connections: '200',
  shared_buffers: '128MB',
  fsync: 'off',
  full_page_writes: 'off',
}

/** folder: everybody may enter it, since Postgres runs as another user. ports: one each, and Kafka's controller takes the last. */
export async function startServers(folder: string, ports: readonly number[]): Promise<Servers> {
  const [postgres = 0, redis = 0, kafka = 0] = ports
  const recipes: Record<ServerName, () => Promise<OwnServer>> = {
    postgres: () => startOwnPostgres({ dir: `${folder}/postgres`, port: postgres, settings: POSTGRES_SETTINGS }),
    redis: () => startOwnRedis({ dir: `${folder}/redis`, port: redis }),
    kafka: () => startOwnKafka({ dir: `${folder}/kafka`, port: kafka, heapMb: 384 }),
  }
  const running = new Map<ServerName, OwnServer>()
  const names = Object.keys(recipes) as ServerName[]
  const starting = new Set<Promise<unknown>>()
  let isOver = false
  const start = async (name: ServerName) => {
    if (isOver) return // of a fault that was to end it, in a run that was given up
    const started = recipes[name]()
    starting.add(started)
    try {
      running.set(name, await started)
    } finally {
      starting.delete(started)
    }
  }
  const stop = async (name: ServerName, signal: NodeJS.Signals) => {
    const pid = running.get(name)?.pid
    if (pid === undefined) return
    await stopProcess(pid, { signal, graceMs: 20_000 })
    await waitUntil(() => !isAlive(pid), { withinMs: 5_000 })
  }
  const dispose = async () => {
    isOver = true
    await Promise.allSettled(starting)
    await Promise.all(names.map((name) => stop(name, 'SIGKILL'))) // nobody needs what they hold
    await Promise.all(names.map((name) => stopOwnServer(`${folder}/${name}`))) // one that never came up
  }
  // Not Promise.all: one that fails must not leave the others starting behind our back.
  const outcomes = await Promise.allSettled(names.map(start))
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) {
    await dispose()
    throw failed.reason
  }
  return {
    url: (name) => running.get(name)?.url ?? '',
    stop,
    start,
    wipeKafka: () => rmSync(`${folder}/kafka/data`, { recursive: true, force: true }),
    isUp: (name) => {
      const pid = running.get(name)?.pid
      return pid !== undefined && isAlive(pid)
    },
    dispose,
  }
}
