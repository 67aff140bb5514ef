/**
 * `npm start` and `npm run reset` as a person uses them, on a Postgres, topics, keys and ports of their own: the
 * printed commands are pasted into bash. Sabotage this was shown to catch: a process that ignores its parent's end,
 * and a walk whose booking names another amount than the search.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { isAlive } from './daemon.ts'
import { startOwnPostgres } from './own-postgres.ts'
import type { OwnServer } from './own-server.ts'
import { ROOT } from './paths.ts'
import { isPortFree, waitUntil } from './wait.ts'

const run = promisify(execFile)
const PORT_VARIABLES = [
  'EDGE_PORT',
  'EDGE_METRICS_PORT',
  'COMMAND_API_PORT',
  'QUERY_API_PORT',
  'WORKERS_PORT',
  'PROJECTIONS_PORT',
  'RELAY_PORT',
  'SANDBOX_COFFEECHAIN_PORT',
  'SANDBOX_DUFFEL_PORT',
]
const END_OF_BLOCK = 'lists operator commands.'

describe('npm start', function () {
  this.timeout(120_000)
  const data = mkdtempSync(`${tmpdir()}/portolan-start-`)
  const running = new Set<ChildProcess>()
  let postgres: OwnServer
  let env: NodeJS.ProcessEnv
  let ports: number[]

  before(async () => {
    await run('chmod', ['755', data]) // Postgres runs as a user of its own
    ports = await freePorts(PORT_VARIABLES.length + 1)
    postgres = await startOwnPostgres({ dir: `${data}/postgres-of-the-test`, port: ports.at(-1) })
    const mine = `test-start-${process.pid}.`
    env = {
      ...process.env,
      NODE_ENV: 'test',
      DATABASE_URL: postgres.url,
      REDIS_URL: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379',
      KAFKA_BROKERS: process.env.KAFKA_BROKERS ?? '127.0.0.1:19092',
      KAFKA_TOPIC_PREFIX: mine,
      REDIS_KEY_PREFIX: mine,
      PORTOLAN_DATA_DIR: data,
      ...Object.fromEntries(PORT_VARIABLES.map((name, i) => [name, String(ports[i])])),
    }
  })

  after(async () => {
    for (const child of running) child.kill('SIGKILL')
    await postgres?.release()
    rmSync(data, { recursive: true, force: true })
  })

  /** Spawns a verb; `output` grows with what it says. */
  function launch(verb: string, changes: NodeJS.ProcessEnv = {}) {
    const child = spawn(process.execPath, [`${ROOT}/infra/launch/bootstrap.mjs`, verb], { env: { ...env, ...changes } })
    running.add(child)
    const said = { output: '' }
    child.stdout.on('data', (chunk) => {
      said.output += chunk
    })
    child.stderr.on('data', (chunk) => {
      said.output += chunk
    })
    const ended = new Promise<number | null>((resolve) => {
      child.once('close', (code) => {
        running.delete(child)
        resolve(code)
      })
    })
    return { child, said, ended }
  }

  async function startUp() {
    const started = launch('start')
    const isUp = await waitUntil(() => started.said.output.includes(END_OF_BLOCK) || started.child.exitCode !== null, {
      withinMs: 90_000,
    })
    expect(isUp && started.child.exitCode === null, started.said.output).to.equal(true)
    return started
  }

  it('prints commands that search, book, read, list and cancel when they are pasted into bash', async () => {
    const { child, said, ended } = await startUp()
    const commands = said.output.slice(said.output.indexOf('# 1.'), said.output.indexOf('Stop with Ctrl-C'))
    const { stdout } = await run('bash', ['-c', commands])
    const [searched = '', booked = '', read = '', listed = '', cancelled = ''] = stdout.trim().split('\n')
    expect(searched).to.match(/^flt_\S+ costs \d+ stars$/)
    const { booking_id: id, status } = JSON.parse(booked).data
    expect(status).to.equal('confirmed')
    expect(JSON.parse(read).data).to.include({ booking_id: id, status: 'confirmed' })
    expect(JSON.parse(listed).data.bookings[0]).to.include({ booking_id: id })
    expect(JSON.parse(cancelled).data).to.include({ booking_id: id, status: 'cancelled' })
    expect(JSON.parse(cancelled).data.refund.status).to.equal('processed')

    expect(readFileSync(`${data}/logs/seed.log`, 'utf8')).to.include('stays: 18 rows of the sample')
    // Another program may have the contract's port; then that was said, and the edge's own address serves as well.
    const isTaken = said.output.includes('! Port 5000, the documented address of the API of stays, is taken')
    const stays = `http://127.0.0.1:${isTaken ? env.EDGE_PORT : 5000}/api/v1`
    const guest = { 'content-type': 'application/json', 'X-Access-Token': randomUUID() }
    const reserved = await fetch(`${stays}/reservations`, {
      method: 'POST',
      headers: guest,
      body: JSON.stringify({ property_id: 'g3hbWxJ5TdXidt', start_date: '2021-01-02', nights: 2 }),
    })
    expect(reserved.status).to.equal(200)
    const search = await fetch(`${stays}/properties/available?start_date=2021-01-02&nights=2`, { headers: guest })
    const { properties } = (await search.json()) as { properties: { property_id: string }[] }
    expect(properties.map((found) => found.property_id)).to.deep.equal([
      '1BlCOXqGH2MZb2',
      'H75e1FjJFudcbC',
      'SnbrmRLFxOhCAT',
      'djddZlw8apLVfi',
    ])

    const refused = launch('reset')
    expect(await refused.ended).to.equal(1)
    expect(refused.said.output).to.match(
      /^✗ Portolan is running \(process \d+\): stop it with Ctrl-C first, then reset\.$/m,
    )

    child.kill('SIGINT')
    child.kill('SIGINT') // as npm passes it on besides the terminal
    expect(await ended).to.equal(0)
    expect(said.output)
      .to.include('stopped')
      .and.not.match(/\n\s+at /)
    expect((await Promise.all(ports.slice(0, -1).map((port) => isPortFree(port)))).every(Boolean)).to.equal(true)
  })

  it('goes on with its data at the second start, in seconds, and leaves nobody behind when it is killed', async () => {
    const { child, said } = await startUp()
    const seconds = Number(/Portolan is ready \(([\d.]+) s\)/.exec(said.output)?.[1])
    expect(seconds).to.be.lessThan(20)
    const credentials = [
      '-H',
      'X-Tenant-ID: coffeechain',
      '-H',
      'X-CC-API-Key: test_cc_api_key_12345',
      '-H',
      'X-CC-Member-ID: CC1234567',
    ]
    const { stdout } = await run('curl', [
      '-s',
      ...credentials,
      `http://127.0.0.1:${env.EDGE_PORT}/api/v1/bookings?status=cancelled`,
    ])
    expect(JSON.parse(stdout).data.pagination.total).to.equal(1)
    expect(readFileSync(`${data}/logs/seed.log`, 'utf8')).to.include('"appended":[]')

    const pids = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').map(Number)
    // The edge and its metrics are the launcher's own.
    expect(pids).to.have.length(PORT_VARIABLES.filter((name) => !name.startsWith('EDGE_')).length)
    child.kill('SIGKILL')
    expect(await waitUntil(() => pids.every((pid) => !isAlive(pid)), { withinMs: 20_000 })).to.equal(true)
  })

  it('says in one sentence which port is taken and how to choose another', async () => {
    const squatter = await listenOn(Number(env.QUERY_API_PORT))
    const { said, ended } = launch('start')
    expect(await ended).to.equal(1)
    squatter.close()
    expect(said.output.trim()).to.equal(
      `✗ Port ${env.QUERY_API_PORT}, where query-api listens, is taken by another program: stop that program, or choose another port with QUERY_API_PORT=…`,
    )
  })

  it('says in one sentence which service it cannot use', async () => {
    const { said, ended } = launch('start', {
      REDIS_URL: `redis://127.0.0.1:${env.DATABASE_URL?.match(/:(\d+)\//)?.[1]}`,
    })
    expect(await ended).to.equal(1)
    expect(said.output.match(/✗/g)).to.have.length(1)
    expect(said.output)
      .to.match(/✗ The Redis of REDIS_URL \(redis:\/\/127\.0\.0\.1:\d+\) does not answer as Redis does/)
      .and.not.match(/\n\s+at /)
  })

  it('ends what its preparations run when it is stopped meanwhile', async () => {
    const pidFile = `${data}/docker.pid`
    mkdirSync(`${data}/bin`)
    const docker = `#!/bin/sh\ncase "$*" in *" up "*) echo $$ > '${pidFile}'; exec sleep 300 ;; esac\n`
    writeFileSync(`${data}/bin/docker`, docker, { mode: 0o755 })
    const { child, said, ended } = launch('start', { REDIS_URL: '', PATH: `${data}/bin:${process.env.PATH}` })
    const readPid = () => existsSync(pidFile) && Number(readFileSync(pidFile, 'utf8'))
    const pid = await waitUntil(() => readPid() || undefined, { withinMs: 20_000 })
    child.kill('SIGINT')
    await ended
    expect(isAlive(pid || 0), said.output).to.equal(false)
    expect(pid).to.be.above(0)
  })

  it('begins anew after a reset, which deletes what is its own and says so', async () => {
    const { said, ended } = launch('reset')
    expect(await ended, said.output).to.equal(0)
    expect(said.output).to.include('databases deleted: portolan_write, portolan_read')
    expect(said.output).to.include(`${env.KAFKA_TOPIC_PREFIX}bookings.events.v1`)
    const again = launch('reset')
    expect(await again.ended).to.equal(0)
    expect(again.said.output)
      .to.include('databases deleted: none were there')
      .and.include('topics deleted: none were there')
    expect(again.said.output).to.include('Redis keys deleted: 0')
  })
})

/** Free ports that differ from each other. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listenOn(0)))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function listenOn(port: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer().listen(port, '127.0.0.1', () => resolve(server))
  })
}
