/**
 * The whole system for a test: every process spawned as `npm start` does, on databases, topics and keys of its own, with the stand-ins
 * beside it. Each kind may run several times. Durations are short, so that fault tests run in seconds.
 */
import { randomBytes } from 'node:crypto'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { type StartedProcess, startProcess } from '@portolan/infra/testing/start-process.ts'
import { type TestTopics, testTopics } from '@portolan/infra/testing/topics.ts'
import { Redis } from 'ioredis'
import { coffeechain, commonEnvironment, operator, teahouse } from './environment.ts'
import { createMember, type Member } from './member.ts'
import { createSandboxControl, type SandboxControl } from './sandbox-control.ts'

export interface SystemOptions {
  commandApis?: number
  queryApis?: number
  workers?: number
  projections?: number
  /** Server of the write database, as its superuser; default the tests'. */
  writeServerUrl?: string
  /** Added to the environment of every process. */
  env?: Record<string, string>
  /** Added to the environment of the stand-ins. */
  sandboxEnv?: Record<string, string>
}

export { coffeechain, operator, teahouse }

export interface System {
  commandApis: StartedProcess[]
  queryApis: StartedProcess[]
  workers: StartedProcess[]
  projections: StartedProcess[]
  relay: StartedProcess
  duffel: SandboxControl
  coffeechain: SandboxControl
  writeDatabase: TestDatabase
  readDatabase: TestDatabase
  topics: TestTopics
  /** What every process was told; for starting another one. */
  env: Record<string, string>
  /** Environment of one more process of each kind. */
  envOf: {
    commandApi: Record<string, string>
    workers: Record<string, string>
    projections: Record<string, string>
    queryApi: Record<string, string>
  }
  /** A member of CoffeeChain's kind with their own balance at the partner; requests go round robin over the processes. */
  newMember(options: { balance: number; tenant?: typeof coffeechain | typeof teahouse }): Promise<Member>
  stop(): Promise<void>
}

/** Starts everything and waits until a request can be answered. Rejects, with what was started stopped again, when it cannot. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  await using cleanup = new AsyncDisposableStack()
  const start = async (name: string, entry: string, env: Record<string, string>, readyWithinMs?: number) => {
    const started = await startProcess({ name, entry, env, ...(readyWithinMs ? { readyWithinMs } : {}) })
    cleanup.defer(async () => {
      await started.stop()
    })
    return started
  }
  const several = (count: number, name: string, entry: string, env: Record<string, string>) =>
    Promise.all(Array.from({ length: count }, (_, n) => start(`${name} ${n + 1}`, entry, env)))

  const [writeDatabase, readDatabase] = await Promise.all([
    testDatabase('write', options.writeServerUrl),
    testDatabase('read'),
  ])
  cleanup.defer(() => writeDatabase.drop())
  cleanup.defer(() => readDatabase.drop())
  const topics = testTopics()
  cleanup.defer(() => topics.drop())
  const redisKeyPrefix = `e2e-${randomBytes(4).toString('hex')}:`
  cleanup.defer(() => dropKeys(redisKeyPrefix))

  const [duffel, partner] = await Promise.all([
    start('sandbox-duffel', 'infra/sandbox/main-duffel.ts', { SANDBOX_DUFFEL_PORT: '0', ...options.sandboxEnv }),
    start('sandbox-coffeechain', 'infra/sandbox/main-coffeechain.ts', {
      SANDBOX_COFFEECHAIN_PORT: '0',
      SANDBOX_API_TIMEOUT_SECONDS: '3',
      ...options.sandboxEnv,
    }),
  ])
  const workersPort = await freePort()
  const env: Record<string, string> = {
    ...commonEnvironment({
      redisUrl: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379',
      redisKeyPrefix,
      brokers: topics.brokers,
      topicPrefix: topics.prefix,
      workersUrl: `http://127.0.0.1:${workersPort}`,
      partnerUrl: partner.url,
      duffelUrl: duffel.url,
    }),
    ...options.env,
  }
  const onWrite = { ...env, WRITE_DATABASE_URL: writeDatabase.url }
  await runSeed(onWrite)
  const relay = await start('relay', 'command-api/src/relay.ts', onWrite)
  const commandApis = await several(options.commandApis ?? 1, 'command-api', 'command-api/src/main.ts', onWrite)
  const commandApiUrl = commandApis[0]?.url ?? ''
  const shared = { ...env, COMMAND_API_URL: commandApiUrl }
  const envOf = {
    commandApi: onWrite,
    workers: { ...shared, WORKERS_PORT: '0' },
    projections: { ...shared, READ_DATABASE_URL: readDatabase.urlAs('portolan_projections') },
    queryApi: { ...shared, READ_DATABASE_URL: readDatabase.urlAs('portolan_query_api') },
  }
  const [firstWorkers, moreWorkers, projections, queryApis] = await Promise.all([
    start('workers 1', 'workers/src/main.ts', { ...envOf.workers, WORKERS_PORT: String(workersPort) }),
    several((options.workers ?? 1) - 1, 'more workers', 'workers/src/main.ts', envOf.workers),
    several(options.projections ?? 1, 'projections', 'projections/src/main.ts', envOf.projections),
    several(options.queryApis ?? 1, 'query-api', 'query-api/src/main.ts', envOf.queryApi),
  ])
  const coffeechainControl = createSandboxControl(partner)
  let members = 0
  const running = cleanup.move()
  return {
    commandApis,
    queryApis,
    workers: [firstWorkers, ...moreWorkers],
    projections,
    relay,
    duffel: createSandboxControl(duffel),
    coffeechain: coffeechainControl,
    writeDatabase,
    readDatabase,
    topics,
    env: shared,
    envOf,
    async newMember({ balance, tenant = teahouse }) {
      members += 1
      const prefix = tenant.tenantId === 'coffeechain' ? 'CC' : 'TH'
      const memberId = `${prefix}${String(9_000_000 + members)}`
      await coffeechainControl.addMember(memberId, balance)
      return createMember({ commandApis, queryApis, tenant, memberId })
    },
    stop: () => running.disposeAsync(),
  }
}

async function runSeed(env: Record<string, string>): Promise<void> {
  const { execFile } = await import('node:child_process')
  const { promisify } = await import('node:util')
  await promisify(execFile)(process.execPath, ['command-api/src/seed.ts'], {
    env: { ...process.env, ...env, SEED_TENANTS: JSON.stringify([teahouse]) },
  })
}

/** A port that was free a moment ago: workers and command-api must know each other's address before either starts. */
async function freePort(): Promise<number> {
  const { createServer } = await import('node:net')
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (!address || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function dropKeys(prefix: string): Promise<void> {
  const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379')
  try {
    for await (const keys of redis.scanStream({ match: `*${prefix}*`, count: 1000 })) {
      if (keys.length > 0) await redis.unlink(...(keys as string[]))
    }
  } finally {
    redis.disconnect()
  }
}
