/**
 * Every reason why a server that listens cannot be used, and the one sentence for it. The unusable servers are small
 * ones that speak just enough of the protocol.
 */
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import { expect } from 'chai'
import pg from 'pg'
import { checkKafka } from './check-kafka.ts'
import { checkPostgres } from './check-postgres.ts'
import { checkRedis } from './check-redis.ts'
import { Obstacle } from './say.ts'

const POSTGRES = process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres'
const REDIS = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
const KAFKA = process.env.KAFKA_BROKERS ?? '127.0.0.1:19092'

describe('a server that is checked before it is used', () => {
  const open: { server: Server; sockets: Set<Socket> }[] = []

  afterEach(() => {
    for (const { server, sockets } of open.splice(0)) {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  })

  /** A server that answers each chunk it receives with what `reply` returns. Resolves with its port. */
  async function fake(reply: (chunk: Buffer) => Buffer | string | undefined): Promise<number> {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        const answer = reply(Buffer.from(chunk))
        if (answer !== undefined) socket.write(answer)
      })
    })
    open.push({ server, sockets })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }

  describe('Postgres', () => {
    const role = `portolan_check_${randomBytes(4).toString('hex')}`
    const roleUrl = new URL(POSTGRES)
    roleUrl.username = role
    roleUrl.password = 'secret'

    before(() => onServer(`create role ${role} login password 'secret'`))
    after(() => onServer(`drop role ${role}`))

    it('passes when it can carry both databases', async () => {
      expect(await checkPostgres(POSTGRES, 'It')).to.match(/^1[5-9]|^[2-9]\d/)
    })

    it('is refused when its user may not create databases and roles', async () => {
      expect(await sentence(checkPostgres(roleUrl.href, 'It'))).to.include(
        `user "${role}" create databases and roles: grant it`,
      )
    })

    it('is refused when it acknowledges what it may lose', async () => {
      await onServer(`alter role ${role} createdb createrole; alter role ${role} set synchronous_commit = off`)
      expect(await sentence(checkPostgres(roleUrl.href, 'It'))).to.include('synchronous_commit = off')
    })

    it('is refused when it is too old', async () => {
      const port = await fake(oldPostgres)
      expect(await sentence(checkPostgres(`postgres://me@127.0.0.1:${port}/x`, 'It'))).to.equal(
        'It is version 13.4 and 15 is needed: upgrade it, or set DATABASE_URL to a newer one.',
      )
    })

    it('is refused when nothing or something else listens', async () => {
      expect(await sentence(checkPostgres('postgres://me@127.0.0.1:1/x', 'It'))).to.include(
        'refuses connections: start it',
      )
      const port = await fake(() => 'HTTP/1.1 400 Bad Request\r\n\r\n')
      expect(await sentence(checkPostgres(`postgres://me@127.0.0.1:${port}/x`, 'It'))).to.include(
        'does not answer as Postgres does',
      )
    })
  })

  describe('Redis', () => {
    it('passes when it is new enough', async () => {
      expect(await checkRedis(REDIS, 'It')).to.match(/^[7-9]|^\d\d/)
    })

    it('is refused when it is too old', async () => {
      const port = await fake(oldRedis)
      expect(await sentence(checkRedis(`redis://127.0.0.1:${port}`, 'It'))).to.equal(
        'It is version 5.0.7 and 7 is needed: upgrade it, or set REDIS_URL to a newer one.',
      )
    })

    it('is refused when it wants a password that was not given', async () => {
      const port = await fake((chunk) => '-NOAUTH Authentication required.\r\n'.repeat(commandsIn(chunk)))
      expect(await sentence(checkRedis(`redis://127.0.0.1:${port}`, 'It'))).to.include('wants a password')
    })

    it('is refused when nothing or something else listens', async () => {
      expect(await sentence(checkRedis('redis://127.0.0.1:1', 'It'))).to.include('refuses connections: start it')
      const port = await fake(() => 'HTTP/1.1 400 Bad Request\r\n\r\n')
      expect(await sentence(checkRedis(`redis://127.0.0.1:${port}`, 'It'))).to.include('does not answer as Redis does')
    })
  })

  describe('Kafka', () => {
    it('passes when topics can be created and groups joined', async () => {
      await checkKafka(`127.0.0.1:1,${KAFKA}`, 'It')
    })

    it('is refused when it knows no way to create topics', async () => {
      const port = await fake(() => kafkaAnswer(Buffer.from([0, 0, 0, 0, 0, 1, 0, 18, 0, 0, 0, 3])))
      expect(await sentence(checkKafka(`127.0.0.1:${port}`, 'It'))).to.include('cannot create topics')
    })

    it('is refused when nothing or something else listens', async () => {
      expect(await sentence(checkKafka('127.0.0.1:1', 'It'))).to.include('refuses connections: start it')
      const port = await fake(() => 'HTTP/1.1 400 Bad Request\r\n\r\n')
      expect(await sentence(checkKafka(`127.0.0.1:${port}`, 'It'))).to.include('does not speak Kafka')
    })
  })
})

async function sentence(check: Promise<unknown>): Promise<string> {
  const outcome = await check.catch((error: unknown) => error)
  expect(outcome).to.be.instanceOf(Obstacle)
  return (outcome as Obstacle).message
}

async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: POSTGRES })
  await client.connect()
  await client.query(sql)
  await client.end()
}

/** Lets anybody in and answers every query with the three facts of a server of version 13. */
function oldPostgres(chunk: Buffer): Buffer {
  const message = (type: string, ...parts: Buffer[]) => {
    const body = Buffer.concat(parts)
    const length = Buffer.alloc(4)
    length.writeInt32BE(body.length + 4)
    return Buffer.concat([Buffer.from(type), length, body])
  }
  const ready = message('Z', Buffer.from('I'))
  const isQuery = chunk[0] === 'Q'.charCodeAt(0)
  if (!isQuery) return Buffer.concat([message('R', Buffer.alloc(4)), ready])
  const facts = { version: '13.4', mayCreate: 't', synchronousCommit: 'on' }
  const int16 = (value: number) => Buffer.from([value >> 8, value & 255])
  const int32 = (value: number) => Buffer.concat([int16(value >> 16), int16(value & 65_535)])
  const columns = Object.keys(facts).map((name) =>
    Buffer.concat([Buffer.from(`${name}\0`), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)]),
  )
  const values = Object.values(facts).map((value) => Buffer.concat([int32(value.length), Buffer.from(value)]))
  return Buffer.concat([
    message('T', int16(columns.length), ...columns),
    message('D', int16(values.length), ...values),
    message('C', Buffer.from('SELECT 1\0')),
    ready,
  ])
}

const commandsIn = (chunk: Buffer) => chunk.toString().match(/^\*\d+\r$/gm)?.length ?? 1

/** A Redis from before HELLO. */
function oldRedis(chunk: Buffer): string {
  const answers: Record<string, string> = { ping: '+PONG\r\n', info: '$19\r\nredis_version:5.0.7\r\n' }
  const names = [...chunk.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)].map(([, name = '']) => name.toLowerCase())
  return names.map((name) => answers[name] ?? `-ERR unknown command '${name}'\r\n`).join('')
}

/** A response to the first request of a connection. */
function kafkaAnswer(body: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 4, 0)
  head.writeInt32BE(1, 4)
  return Buffer.concat([head, body])
}
