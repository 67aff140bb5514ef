import { fetchApiVersions, joinGroup, tryCreateTopic } from './kafka-wire.ts'
import { Obstacle } from './say.ts'
import { waitUntil } from './wait.ts'

const CREATE_TOPICS = 19
const TOPIC_EXISTS = 36

/**
 * Looks whether the Kafka at `brokers` (`host:port,…`) can carry our topics: it speaks the protocol, would let us
 * create a topic (asked with validate-only, so nothing is made) and a consumer group can be joined.
 * Rejects with an Obstacle whose sentence begins with `name`.
 */
export async function checkKafka(brokers: string, name: string): Promise<void> {
  const reached = await firstReachable(brokers.split(','))
  if ('fault' in reached) {
    throw new Obstacle(`${name} ${describeFault(reached.fault)}`)
  }
  if (!reached.versions.has(CREATE_TOPICS)) {
    throw new Obstacle(
      `${name} cannot create topics over its protocol: set KAFKA_BROKERS to an Apache Kafka of version 3 or 4.`,
    )
  }
  const code = await tryCreateTopic(reached.broker, 'portolan.launch-check').catch((error: Error) => error.message)
  if (code !== 0 && code !== TOPIC_EXISTS) {
    throw new Obstacle(
      `${name} does not let us create topics (error ${code}): grant it, or set KAFKA_BROKERS to another one.`,
    )
  }
  let lastFault = ''
  const joined = await waitUntil(
    () =>
      joinGroup(reached.broker).then(
        () => true,
        (error: Error) => {
          lastFault = error.message
          return false
        },
      ),
    { withinMs: 10_000, everyMs: 250 },
  )
  if (joined) return
  throw new Obstacle(
    `${name} lets nobody join a consumer group (${lastFault}): its advertised.listeners must be reachable from here; or set KAFKA_BROKERS to another one.`,
  )
}

type Reached = { broker: string; versions: Map<number, number> } | { fault: Error & { code?: string } }

async function firstReachable(brokers: string[]): Promise<Reached> {
  let fault: Error = new Error('no broker named')
  for (const broker of brokers.map((entry) => entry.trim()).filter(Boolean)) {
    try {
      return { broker, versions: await fetchApiVersions(broker) }
    } catch (error) {
      fault = error as Error
    }
  }
  return { fault }
}

function describeFault(fault: Error & { code?: string }): string {
  if (fault.code === 'ECONNREFUSED') return 'refuses connections: start it, or set KAFKA_BROKERS to one that runs.'
  if (fault.code === 'ENOTFOUND' || fault.code === 'EAI_AGAIN')
    return 'has an address that cannot be resolved: correct KAFKA_BROKERS.'
  return `does not speak Kafka's protocol (${fault.message}): see what listens there, or set KAFKA_BROKERS to another one.`
}
