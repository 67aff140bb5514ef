/**
 * Servers of our own, shared by those who need them. Sabotage this was shown to catch: stopping on the first release,
 * and counting a dead user as alive.
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { createKafka } from '@portolan/infra/kafka.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { expect } from 'chai'
import pg from 'pg'
import { isAlive, joinUsers } from './daemon.ts'
import { startOwnKafka } from './own-kafka.ts'
import { startOwnPostgres } from './own-postgres.ts'
import { startOwnRedis } from './own-redis.ts'
import { ownServerPid, stopOwnServer } from './own-server.ts'
import { Obstacle } from './say.ts'
import { isListening } from './wait.ts'

describe('a server of our own', () => {
  let dir: string

  beforeEach(() => {
    dir = mkdtempSync(`${tmpdir()}/portolan-own-`)
  })
  afterEach(async () => {
    await stopOwnServer(dir)
    rmSync(dir, { recursive: true })
  })

  it('is started by the first user, joined by the second and stopped by the last', async () => {
    const first = await startOwnRedis({ dir, port: await freePort() })
    const second = await startOwnRedis({ dir, user: process.ppid })
    expect(second).to.include({ url: first.url, pid: first.pid, isNew: false })
    await first.release()
    expect(isAlive(first.pid)).to.equal(true)
    await second.release()
    expect(isAlive(first.pid)).to.equal(false)
  })

  it('does not wait for a user that was killed', async () => {
    const killed = spawn(process.execPath, ['-e', ''])
    await new Promise((resolve) => killed.once('exit', resolve))
    const server = await startOwnRedis({ dir, port: await freePort() })
    joinUsers(`${dir}/users`, killed.pid ?? 0)
    await server.release()
    expect(ownServerPid(dir)).to.equal(undefined)
  })

  it('says in one sentence that its port is taken', async () => {
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
    const { port } = squatter.address() as AddressInfo
    const outcome = await startOwnRedis({ dir, port }).catch((error: Error) => error)
    squatter.close()
    expect(outcome).to.be.instanceOf(Obstacle)
    expect((outcome as Error).message).to.equal(
      `Port ${port}, which our own Redis needs, is taken by another program: stop that program, or set REDIS_URL to a Redis that runs already.`,
    )
  })

  it('keeps its data and takes the settings it is given', async function () {
    this.timeout(60_000)
    const port = await freePort()
    // Postgres runs as a user of its own, which must be able to enter the folder.
    chmodSync(dir, 0o755)
    const options = { dir, port, settings: { max_connections: '33' } }
    mkdirSync(`${dir}/data.new/base`, { recursive: true }) // of an initdb that was interrupted
    const first = await startOwnPostgres(options)
    await query(first.url, 'create table kept (id int)')
    await first.release()
    expect(await isListening('127.0.0.1', port)).to.equal(false)
    const again = await startOwnPostgres(options)
    expect(
      await query(
        again.url,
        'select current_setting($$max_connections$$) as connections from (select count(*) from kept) as kept',
      ),
    ).to.deep.equal([{ connections: '33' }])
    await again.release()
  })

  it('is a Kafka broker that keeps its records over a restart', async function () {
    this.timeout(90_000)
    const port = await freePort()
    const first = await startOwnKafka({ dir, port })
    const kafka = createKafka({ brokers: [first.url], clientId: 'test' }, silent)
    await kafka.createTopics([{ topic: 'kept', partitions: 1 }])
    const producer = await kafka.createProducer()
    await producer.send([{ topic: 'kept', partition: 0, key: 'k', value: 'still here', headers: {} }])
    await producer.disconnect()
    await first.release()
    expect(await isListening('127.0.0.1', port)).to.equal(false)
    const again = await startOwnKafka({ dir, port })
    const [last] = await kafka.readLastOfEach([{ topic: 'kept', partition: 0 }])
    expect(last?.value?.toString()).to.equal('still here')
    await kafka.disconnect()
    await again.release()
  })
})

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(sql)
  await client.end()
  return rows
}
