/**
 * A Kafka broker of our own, without Docker: Apache Kafka's jars from Maven, one node in KRaft mode, on 127.0.0.1.
 * Its data outlives restarts. Ready means that a consumer group can be joined, not that the port is open.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { startDaemon } from './daemon.ts'
import { canInstallPackages, installDebianPackages } from './debian.ts'
import { joinGroup } from './kafka-wire.ts'
import { withLock } from './lock.ts'
import { choosePort, joinOrStart, type OwnServer, type ServerUser } from './own-server.ts'
import { DATA, LOGS, ROOT } from './paths.ts'
import { longStep, Obstacle } from './say.ts'

const run = promisify(execFile)
export const OWN_KAFKA_DIR = `${DATA}/kafka`
const LIB = `${DATA}/kafka/lib`
const POM = `${ROOT}/infra/kafka/pom.xml`
const STANDARD_PORT = 19092
const OLDEST_JAVA = 17

export type OwnKafkaOptions = {
  /** Holds `data/` and the settings. */
  dir?: string
  /** The controller listens on the next one. Default 19092, or the next free one in tens. */
  port?: number
  heapMb?: number
  /** Added to or overriding server.properties. */
  settings?: Record<string, string>
  user?: ServerUser
}

/** Starts our broker or joins the one that runs. Rejects with an Obstacle when Java, Maven or a port is missing. */
export function startOwnKafka(options: OwnKafkaOptions = {}): Promise<OwnServer> {
  const { dir = OWN_KAFKA_DIR, user = process.pid } = options
  const logFile = dir === OWN_KAFKA_DIR ? `${LOGS}/kafka.log` : `${dir}/kafka.log`
  return joinOrStart({
    name: 'Kafka',
    dir,
    logFile,
    user,
    launch: (pidFile) => launchBroker(options, { dir, pidFile, logFile }),
    isReady: (url) => joinGroup(url),
  })
}

async function launchBroker(
  options: OwnKafkaOptions,
  files: { dir: string; pidFile: string; logFile: string },
): Promise<string> {
  const { heapMb = Number(process.env.KAFKA_HEAP_MB ?? 384), settings = {} } = options
  const { dir, pidFile, logFile } = files
  await requireJava()
  await resolveJars()
  const port = await choosePort('Kafka broker', options.port, STANDARD_PORT, REMEDY, 2)
  const properties = writeSettings(dir, port, settings)
  await formatOnce(dir, properties)
  startDaemon({ command: 'java', args: [...javaArgs(heapMb), 'kafka.Kafka', properties], pidFile, logFile })
  return `127.0.0.1:${port}`
}

const REMEDY = 'set KAFKA_BROKERS to a Kafka that runs already'

const javaArgs = (heapMb: number) => [
  `-Xmx${heapMb}m`,
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1', // seconds of start-up matter more here than peak throughput
  `-Dlog4j2.configurationFile=${ROOT}/infra/kafka/log4j2.properties`,
  '-cp',
  `${LIB}/*`,
]

async function requireJava(): Promise<void> {
  let version = await javaVersion()
  if (version === 0 && canInstallPackages()) {
    await installDebianPackages(['default-jre-headless'])
    version = await javaVersion()
  }
  if (version >= OLDEST_JAVA) return
  const found = version === 0 ? 'there is no Java' : `Java here is version ${version}`
  throw new Obstacle(
    `Kafka needs Java ${OLDEST_JAVA} or newer and ${found}: install it (Debian: apt-get install openjdk-17-jre-headless maven), or ${REMEDY}.`,
  )
}

/** Major version of the Java in PATH; 0 when there is none. */
async function javaVersion(): Promise<number> {
  const output = await run('java', ['-version']).then(
    ({ stdout, stderr }) => stdout + stderr,
    () => '',
  )
  return Number(/version "(\d+)/.exec(output)?.[1] ?? 0)
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
      writeFileSync(`${fresh}/pom.xml`, wanted)
      rmSync(LIB, { recursive: true, force: true })
      renameSync(fresh, LIB)
    })
  })
}

async function runMaven(args: string[]): Promise<void> {
  const hasMaven = () =>
    run('mvn', ['-v']).then(
      () => true,
      () => false,
    )
  if (!(await hasMaven()) && canInstallPackages()) await installDebianPackages(['maven'])
  if (!(await hasMaven())) {
    throw new Obstacle(
      `Kafka is fetched with Maven, and mvn is not installed: install it (Debian: apt-get install maven), or ${REMEDY}.`,
    )
  }
  await run('mvn', ['-B', '-q', '-f', POM, ...args], { maxBuffer: 64 << 20 }).catch(
    (fault: Error & { stdout?: string }) => {
      const reason = /\[ERROR\] (.*)/.exec(fault.stdout ?? '')?.[1] ?? fault.message
      throw new Obstacle(
        `Maven could not fetch Kafka: ${reason} Check the network or ~/.m2/settings.xml, then run this command again.`,
      )
    },
  )
}

/** Formats the data folder when that has not been done, which Kafka wants once and refuses twice. */
async function formatOnce(dir: string, properties: string): Promise<void> {
  if (existsSync(`${dir}/data/meta.properties`)) return
  rmSync(`${dir}/data`, { recursive: true, force: true }) // an interrupted format leaves no meta.properties
  const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'A') // a leading dash would read as an option
  const format = ['kafka.tools.StorageTool', 'format', '--standalone', '-t', clusterId, '-c', properties]
  await run('java', [...javaArgs(128), ...format]).catch((error: Error & { stderr?: string }) => {
    const reason = error.stderr?.trim().split('\n')[0] || error.message
    throw new Obstacle(`Kafka's data folder ${dir}/data could not be formatted (${reason}): mend that, or ${REMEDY}.`)
  })
}

function writeSettings(dir: string, port: number, settings: Record<string, string>): string {
  const all: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${port + 1}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.bootstrap.servers': `127.0.0.1:${port + 1}`,
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
