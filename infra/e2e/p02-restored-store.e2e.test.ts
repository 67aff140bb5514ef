/**
 * P2 and P3 when the write database is dumped and restored into a freshly initialised server: positions are ordinary columns,
 * so nothing depends on transaction ids or sequences of the old server. And a store that went back in time is noticed.
 *
 * Seen failing: with a relay that sends without asking whether the store knows what Kafka holds.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { promisify } from 'node:util'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import type { StartedProcess } from '@portolan/infra/testing/start-process.ts'
import { type TestTopics, testTopics } from '@portolan/infra/testing/topics.ts'
import { expect } from 'chai'
import { findPostgresBin, startOwnPostgres } from '../launch/own-postgres.ts'
import type { OwnServer } from '../launch/own-server.ts'
import {
  createRandom,
  expectWholeLog,
  type LogAddress,
  pause,
  query,
  startOrderProjection,
  startRelay,
  startWriter,
} from './busy-log.ts'

const run = promisify(execFile)
const LOAD_MS = 3000

describe('P2, P3: a restored store', () => {
  let folder: string
  const servers: OwnServer[] = []
  const processes: StartedProcess[] = []
  let read: TestDatabase
  let projection: Awaited<ReturnType<typeof startOrderProjection>> | undefined
  let topics: TestTopics

  before(async () => {
    folder = mkdtempSync('/var/tmp/portolan-restore-')
    await run('chmod', ['755', folder])
    read = await testDatabase('read')
    topics = testTopics()
  })
  after(async () => {
    await Promise.all(processes.map((one) => one.kill()))
    await projection?.stop()
    for (const server of servers) await server.release()
    rmSync(folder, { recursive: true })
    await topics.drop()
    await read.drop()
  })

  /** A freshly initialised server, small: it lives for seconds. */
  async function startServer(name: string): Promise<{ adminUrl: string; writeUrl: string; serverUrl: string }> {
    const server = await startOwnPostgres({ dir: `${folder}/${name}`, settings: { shared_buffers: '64MB' } })
    servers.push(server)
    const adminUrl = server.url.replace(/\/postgres$/, '/portolan_write')
    // Roles belong to the server and are in no database's dump.
    await query(server.url, 'create role portolan_command_api nologin')
    return { serverUrl: server.url, adminUrl, writeUrl: `${adminUrl}?options=-c%20role%3Dportolan_command_api` }
  }
  const addressOf = (server: { adminUrl: string; writeUrl: string }): LogAddress => ({
    ...server,
    brokers: topics.brokers.join(','),
    topicPrefix: topics.prefix,
    ackFolder: mkdtempSync(`${folder}/acks-`),
  })
  async function dump(adminUrl: string, name: string): Promise<string> {
    const file = `${folder}/${name}.dump`
    await run(`${await findPostgresBin()}/pg_dump`, [
      '--format=custom',
      '--create',
      `--file=${file}`,
      `--dbname=${adminUrl}`,
    ])
    return file
  }
  async function restore(file: string, serverUrl: string): Promise<void> {
    await run(`${await findPostgresBin()}/pg_restore`, ['--create', '--exit-on-error', `--dbname=${serverUrl}`, file])
  }
  const started = async (starting: Promise<StartedProcess>): Promise<StartedProcess> => {
    const one = await starting
    processes.push(one)
    return one
  }
  const readinessOf = async ({ url }: StartedProcess) =>
    (await (await fetch(`${url}/health/ready`)).json()) as { parts: Record<string, boolean> }
  const isVerified = async (url: string) => {
    const unverified = await query(
      url,
      `select from log_heads h left join log_verifications v using (topic, partition)
       where v.incarnation is distinct from log_incarnation()`,
    )
    return unverified.length === 0
  }

  it('goes on where it was on another server, without a gap or a repetition; one that went back is refused', async () => {
    const random = createRandom()
    const old = await startServer('old')
    await query(old.serverUrl, 'create database portolan_write')
    await run(process.execPath, ['migrations/migrate.ts', 'write', old.adminUrl])
    const before = addressOf(old)
    projection = await startOrderProjection(read, topics.kafka, topics.prefix)
    const oldRelay = await started(startRelay(before))

    const firstWriter = await started(startWriter(before, random))
    await pause(LOAD_MS)
    const early = await dump(old.adminUrl, 'early') // under load, as an operator would
    await firstWriter.stop()
    const secondWriter = await started(startWriter(before, random))
    await pause(LOAD_MS)
    await secondWriter.stop()
    const eventsBefore = await expectWholeLog(before)
    await projection.expectDelivered(old.adminUrl)
    await oldRelay.stop()
    const last = await dump(old.adminUrl, 'last')
    await servers[0]?.release()

    const fresh = await startServer('fresh')
    await restore(last, fresh.serverUrl)
    expect(await isVerified(fresh.adminUrl), 'verified before anybody compared').to.equal(false)
    const after = { ...addressOf(fresh), ackFolder: before.ackFolder }
    const newWriters = await Promise.all([started(startWriter(after, random)), started(startWriter(after, random))])
    const newRelay = await started(startRelay(after))
    await pause(LOAD_MS)
    await Promise.all(newWriters.map((writer) => writer.stop()))
    expect(await expectWholeLog(after)).to.be.greaterThan(eventsBefore)
    await projection.expectDelivered(fresh.adminUrl)
    expect(await isVerified(fresh.adminUrl)).to.equal(true)
    await newRelay.stop()

    await query(fresh.serverUrl, 'drop database portolan_write with (force)')
    await restore(early, fresh.serverUrl)
    const refusing = await started(startRelay(after))
    await eventually(async () => expect((await readinessOf(refusing)).parts.log).to.equal(false))
    expect(await isVerified(fresh.adminUrl)).to.equal(false)
    await refusing.stop()
  })
}).timeout(90_000)
