/**
 * A Kafka broker of our own, without Docker: Apache Kafka's jars from Maven, one node in KRaft mode, on 127.0.0.1.
 * Its data outlives restarts. Ready means that a consumer group can be joined, not that the port is open.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { daemonPid, joinUsers, leaveUsers, startDaemon, stopProcess } from './daemon.ts'
import { joinGroup } from './kafka-wire.ts'
import { withLock } from './lock.ts'
import { DATA, LOGS, ROOT } from './paths.ts'
import { longStep, Obstacle } from './say.ts'
import { isPortFree, waitUntil } from './wait.ts'

const run = promisify(execFile)
const LIB = `${DATA}/kafka/lib`
const POM = `${ROOT}/infra/kafka/pom.xml`

export type OwnKafkaOptions = {
  /** Holds `data/`, the settings, the pid file and the list of users. */
  dir?: string
  port?: number
  controllerPort?: number
  logFile?: string
  heapMb?: number
  /** Added to or overriding server.properties. */
  settings?: Record<string, string>
  /** Who the broker is started for: it lives at least as long as that process. `'itself'`: until stopped explicitly. */
  user?: number | 'itself'
}

export type OwnServer = {
  /** Address for clients. */
  url: string
  pid: number
  /** False when it ran already and was only joined. */
  isNew: boolean
  /** Says that this user is done; the last one stops the server. */
  release: () => Promise<void>
}

const KAFKA_PORT = 19092

/** Starts our broker or joins the one that runs. Rejects with an Obstacle when Java, Maven or the ports are missing. */
export async function startOwnKafka(options: OwnKafkaOptions = {}): Promise<OwnServer> {
  const { dir = `${DATA}/kafka`, port = KAFKA_PORT, user = process.pid } = options
  const url = `127.0.0.1:${port}`
  const { pidFile, usersDir } = filesOf(dir)
  return withLock(`${dir}/lock`, async () => {
    const running = daemonPid(pidFile, dir)
    const pid = running ?? (await launchBroker({ ...options, dir, port }))
    joinUsers(usersDir, user === 'itself' ? pid : user)
    if (!(await waitUntil(() => joinGroup(url).then(() => true), { withinMs: 60_000, everyMs: 100 }))) {
      throw new Obstacle(
        `The Kafka broker on ${url} (process ${pid}) does not answer: its log ${options.logFile ?? defaultLog(dir)} says why; \`npm run reset\` gives it fresh data.`,
      )
    }
    return { url, pid, isNew: running === undefined, release: () => releaseOwnKafka({ dir, user }) }
  })
}

/** Stops our broker if it runs, whoever uses it. Returns whether it ran. */
export async function stopOwnKafka(dir = `${DATA}/kafka`): Promise<boolean> {
  const { pidFile } = filesOf(dir)
  const pid = daemonPid(pidFile, dir)
  if (pid !== undefined) await stopProcess(pid)
  rmSync(pidFile, { force: true })
  return pid !== undefined
}

async function releaseOwnKafka({ dir, user }: { dir: string; user: number | 'itself' }): Promise<void> {
  if (user === 'itself') return
  if (leaveUsers(filesOf(dir).usersDir, user)) await stopOwnKafka(dir)
}

const filesOf = (dir: string) => ({ pidFile: `${dir}/broker.pid`, usersDir: `${dir}/users` })
const defaultLog = (dir: string) => (dir === `${DATA}/kafka` ? `${LOGS}/kafka.log` : `${dir}/kafka.log`)

async function launchBroker(options: OwnKafkaOptions & { dir: string; port: number }): Promise<number> {
  const { dir, port, controllerPort = port + 1, heapMb = Number(process.env.KAFKA_HEAP_MB ?? 384) } = options
  const logFile = options.logFile ?? defaultLog(dir)
  await requireJava()
  await resolveJars()
  for (const wanted of [port, controllerPort]) {
    if (await isPortFree(wanted)) continue
    throw new Obstacle(
      `Port ${wanted}, which our Kafka broker needs, is taken by another program: stop that program, or set KAFKA_BROKERS to a Kafka that runs already.`,
    )
  }
  const properties = writeSettings({ ...options, controllerPort })
  await formatOnce(dir, properties)
  return startDaemon({
    command: 'java',
    args: [...javaArgs(heapMb), 'kafka.Kafka', properties],
    pidFile: filesOf(dir).pidFile,
    logFile,
  })
}

const javaArgs = (heapMb: number) => [
  `-Xmx${heapMb}m`,
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1', // seconds of start-up matter more here than peak throughput
  `-Dlog4j2.configurationFile=${ROOT}/infra/kafka/log4j2.properties`,
  '-cp',
  `${LIB}/*`,
]

async function requireJava(): Promise<void> {
  const output = await run('java', ['-version']).then(
    ({ stdout, stderr }) => stdout + stderr,
    () => '',
  )
  const version = Number(/version "(\d+)/.exec(output)?.[1] ?? 0)
  if (version >= 17) return
  const found = version === 0 ? 'there is no Java' : `Java here is version ${version}`
  throw new Obstacle(
    `Kafka needs Java 17 or newer and ${found}: install it (Debian: apt-get install openjdk-17-jre-headless maven), or set KAFKA_BROKERS to a Kafka that runs already.`,
  )
}

/** Puts Kafka's jars into .data/kafka/lib, once per version of the pom. */
async function resolveJars(): Promise<void> {
  const stamp = `${LIB}/pom.xml`
  const wanted = readFileSync(POM, 'utf8')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  await withLock(`${DATA}/kafka/lib.lock`, async () => {
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
    await longStep('fetching Apache Kafka with Maven', async () => {
      const fresh = `${LIB}.new`
      rmSync(fresh, { recursive: true, force: true })
      await runMaven(['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${fresh}`])
      writeFileSync(join(fresh, 'pom.xml'), wanted)
      rmSync(LIB, { recursive: true, force: true })
      renameSync(fresh, LIB)
    })
  })
}

async function runMaven(args: string[]): Promise<void> {
  try {
    await run('mvn', ['-B', '-q', '-f', POM, ...args], { maxBuffer: 64 << 20 })
  } catch (error) {
    const fault = error as NodeJS.ErrnoException & { stdout?: string }
    if (fault.code === 'ENOENT') {
      throw new Obstacle(
        'Kafka is fetched with Maven and `mvn` is not installed: install it (Debian: apt-get install maven), or set KAFKA_BROKERS to a Kafka that runs already.',
      )
    }
    const reason = /\[ERROR\] (.*)/.exec(fault.stdout ?? '')?.[1] ?? fault.message
    throw new Obstacle(
      `Maven could not fetch Kafka: ${reason} Check the network or ~/.m2/settings.xml, then run this command again.`,
    )
  }
}

/** Formats the data folder when that has not been done, which Kafka wants once and refuses twice. */
async function formatOnce(dir: string, properties: string): Promise<void> {
  if (existsSync(`${dir}/data/meta.properties`)) return
  rmSync(`${dir}/data`, { recursive: true, force: true }) // an interrupted format leaves no meta.properties
  const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'A') // a leading dash would read as an option
  await run('java', [
    ...javaArgs(128),
    'kafka.tools.StorageTool',
    'format',
    '--standalone',
    '-t',
    clusterId,
    '-c',
    properties,
  ])
}

function writeSettings(options: OwnKafkaOptions & { dir: string; port: number; controllerPort: number }): string {
  const { dir, port, controllerPort, settings = {} } = options
  const all: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.bootstrap.servers': `127.0.0.1:${controllerPort}`,
    'log.dirs': `${dir}/data`,
    // One node holds every copy.
    'default.replication.factor': '1',
    'min.insync.replicas': '1',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    // A group forms at once, and fault tests may use short sessions.
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    // Only the relay creates topics, with the recorded number of partitions.
    'auto.create.topics.enable': 'false',
    // The default, 128 MB, is most of our heap; nothing large is compacted here.
    'log.cleaner.dedupe.buffer.size': '8388608',
    ...settings,
  }
  mkdirSync(dir, { recursive: true })
  const path = `${dir}/server.properties`
  writeFileSync(
    path,
    Object.entries(all)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  return path
}

/** Deletes the broker's data; it must not be running. Returns whether there was any. */
export function wipeOwnKafka(dir = `${DATA}/kafka`): boolean {
  const hadData = existsSync(`${dir}/data`) && readdirSync(`${dir}/data`).length > 0
  rmSync(`${dir}/data`, { recursive: true, force: true })
  return hadData
}
