/**
 * The few questions the launcher asks a broker, in Kafka's own wire format: is this Kafka, may we create topics, does
 * a group join work. The launcher lives as long as the system does, and a client library would stay in its memory for
 * three requests at start.
 *
 * Versions are the lowest that Kafka 4 still accepts (KIP-896). Source: kafka.apache.org/protocol, not flexible versions only.
 */
import { connect, type Socket } from 'node:net'

const API = { FIND_COORDINATOR: 10, JOIN_GROUP: 11, LEAVE_GROUP: 13, API_VERSIONS: 18, CREATE_TOPICS: 19 } as const

const string = (text: string): Buffer => Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)])
const bytes = (value: Buffer): Buffer => Buffer.concat([int32(value.length), value])
function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeInt16BE(value)
  return buffer
}
function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}

type Connection = { ask: (apiKey: number, version: number, body: Buffer) => Promise<Buffer>; close: () => void }

/** Opens a connection whose every answer must arrive within `timeoutMs`. Rejects when refused, cut or silent. */
async function openConnection(host: string, port: number, timeoutMs: number): Promise<Connection> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opened = connect({ host, port }, () => resolve(opened))
    opened.once('error', reject)
    opened.setTimeout(timeoutMs, () => opened.destroy(new Error('no answer in time')))
  })
  let received: Buffer = Buffer.alloc(0)
  let waiting: { resolve: (answer: Buffer) => void; reject: (error: Error) => void } | undefined
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    const length = received.length >= 4 ? received.readInt32BE(0) : undefined
    // A server that speaks something else (HTTP, say) yields an absurd length here.
    if (length !== undefined && (length < 4 || length > 1_000_000)) socket.destroy(new Error('not the Kafka protocol'))
    else if (length !== undefined && received.length >= 4 + length) {
      waiting?.resolve(received.subarray(8, 4 + length)) // after the size and the correlation id
      received = received.subarray(4 + length)
    }
  })
  socket.on('error', (error) => waiting?.reject(error))
  socket.on('close', () => waiting?.reject(new Error('connection closed')))
  return {
    ask: (apiKey, version, body) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        const request = Buffer.concat([int16(apiKey), int16(version), int32(1), string('portolan-launch'), body])
        socket.write(Buffer.concat([int32(request.length), request]))
      }),
    close: () => socket.destroy(),
  }
}

/** Splits `host:port`; a missing port is Kafka's 9092. */
function parseBroker(broker: string): { host: string; port: number } {
  const [host = '', port = '9092'] = broker.split(/:(?=\d+$)/)
  return { host, port: Number(port) }
}

async function withConnection<T>(
  broker: string,
  timeoutMs: number,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const { host, port } = parseBroker(broker)
  const connection = await openConnection(host, port, timeoutMs)
  try {
    return await work(connection)
  } finally {
    connection.close()
  }
}

/** Highest version of each request the broker knows, by request key. Rejects when what listens there is not Kafka. */
export function fetchApiVersions(broker: string, timeoutMs = 2000): Promise<Map<number, number>> {
  return withConnection(broker, timeoutMs, async ({ ask }) => {
    const answer = await ask(API.API_VERSIONS, 0, Buffer.alloc(0))
    if (answer.length < 6 || answer.readInt16BE(0) !== 0) throw new Error('not the Kafka protocol')
    const count = answer.readInt32BE(2)
    if (answer.length !== 6 + count * 6) throw new Error('not the Kafka protocol')
    return new Map(
      Array.from({ length: count }, (_, i) => [answer.readInt16BE(6 + i * 6), answer.readInt16BE(10 + i * 6)]),
    )
  })
}

/**
 * Asks whether a topic of this name could be created, without creating it (validate only).
 * Returns Kafka's error code: 0 yes, 36 exists already, 29 and 31 not authorised.
 */
export function tryCreateTopic(broker: string, topic: string, timeoutMs = 5000): Promise<number> {
  const noAssignments = int32(0)
  const noConfigs = int32(0)
  const request = [
    int32(1),
    string(topic),
    int32(1),
    int16(1),
    noAssignments,
    noConfigs,
    int32(timeoutMs),
    Buffer.from([1]),
  ]
  return withConnection(broker, timeoutMs, async ({ ask }) => {
    const answer = await ask(API.CREATE_TOPICS, 2, Buffer.concat(request))
    const nameLength = answer.readInt16BE(8) // after the throttle time and the number of topics
    return answer.readInt16BE(10 + nameLength)
  })
}

/**
 * Joins a consumer group of our own and leaves it again; rejects while the broker cannot do that yet. An open port is
 * not enough: for about a second after a start the group coordinator is still loading. The join goes to the address
 * that the broker advertises, as every client's will.
 */
export async function joinGroup(broker: string, group = 'portolan.launch', timeoutMs = 5000): Promise<void> {
  const coordinator = await findCoordinator(broker, group, timeoutMs)
  await withConnection(coordinator, timeoutMs, async ({ ask }) => {
    const noSubscription = bytes(Buffer.concat([int16(0), int32(0), int32(-1)]))
    const protocols = Buffer.concat([int32(1), string('launch'), noSubscription])
    const session = Buffer.concat([int32(10_000), int32(10_000)])
    const request = Buffer.concat([string(group), session, string(''), string('consumer'), protocols])
    const joined = await ask(API.JOIN_GROUP, 2, request)
    const code = joined.readInt16BE(4) // after the throttle time
    if (code !== 0) throw new Error(`group join refused (${code})`)
    await ask(API.LEAVE_GROUP, 0, Buffer.concat([string(group), string(readMemberId(joined))]))
  })
}

/** Advertised address of the broker that coordinates a group. */
function findCoordinator(broker: string, group: string, timeoutMs: number): Promise<string> {
  return withConnection(broker, timeoutMs, async ({ ask }) => {
    const answer = await ask(API.FIND_COORDINATOR, 0, string(group))
    if (answer.readInt16BE(0) !== 0) throw new Error(`no group coordinator yet (${answer.readInt16BE(0)})`)
    const hostLength = answer.readInt16BE(6) // after the error and the node id
    const host = answer.toString('utf8', 8, 8 + hostLength)
    return `${host}:${answer.readInt32BE(8 + hostLength)}`
  })
}

/** JoinGroup v2: throttle, error, generation, protocol, leader, member id, members. */
function readMemberId(joined: Buffer): string {
  let at = 4 + 2 + 4
  const next = () => {
    const length = joined.readInt16BE(at)
    const text = joined.toString('utf8', at + 2, at + 2 + length)
    at += 2 + length
    return text
  }
  next()
  next()
  return next()
}
