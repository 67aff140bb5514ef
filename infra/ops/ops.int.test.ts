/**
 * Operators' commands over real databases and a real broker, with the projections process beside them; run as an operator
 * runs them, as a process with output and exit code.
 */
import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { type EventLog, type NewEvent, testLog } from '@portolan/infra/testing/event-log.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { sampleData } from '@portolan/infra/testing/samples.ts'
import { type StartedProcess, startProcess } from '@portolan/infra/testing/start-process.ts'
import { type TestTopics, testTopics } from '@portolan/infra/testing/topics.ts'
import { bookingStream, topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import pg from 'pg'

describe('npm run ops', () => {
  let read: TestDatabase
  let write: TestDatabase
  let admin: pg.Client
  let kafkaTopics: TestTopics
  let log: EventLog
  let projections: StartedProcess
  let commandApi: Server
  const released: unknown[] = []

  before(async () => {
    ;[read, write] = await Promise.all([testDatabase('read'), testDatabase('write')])
    admin = new pg.Client(write.adminUrl)
    await admin.connect()
    kafkaTopics = testTopics()
    await kafkaTopics.create([topics.bookings, topics.members, topics.tenants], 2)
    log = await testLog(kafkaTopics.kafka, kafkaTopics.prefix, 2)
    projections = await startProcess({
      name: 'projections',
      entry: 'projections/src/main.ts',
      env: {
        READ_DATABASE_URL: read.urlAs('portolan_projections'),
        KAFKA_TOPIC_PREFIX: kafkaTopics.prefix,
        KAFKA_BROKERS: kafkaTopics.brokers.join(','),
        PROJECTIONS_PORT: '0',
        PROJECTIONS_VERSIONS_POLL_MS: '100',
      },
    })
    commandApi = createServer(async (req, res) => {
      let body = ''
      for await (const chunk of req) body += chunk
      released.push([req.url, JSON.parse(body)])
      res.writeHead(200, { 'content-type': 'application/json' }).end('{"released":2}')
    })
    await new Promise<void>((resolve) => commandApi.listen(0, '127.0.0.1', resolve))
  })
  after(async () => {
    commandApi.close()
    await projections.stop()
    await log.close()
    await kafkaTopics.drop()
    await admin.end()
    await Promise.all([read.drop(), write.drop()])
  })

  const ops = (...args: string[]) =>
    new Promise<{ code: number; out: string; said: string }>((resolve) => {
      const env = {
        ...process.env,
        READ_DATABASE_URL: read.adminUrl,
        WRITE_DATABASE_URL: write.adminUrl,
        KAFKA_BROKERS: kafkaTopics.brokers.join(','),
        KAFKA_TOPIC_PREFIX: kafkaTopics.prefix,
        COMMAND_API_URL: `http://127.0.0.1:${(commandApi.address() as AddressInfo).port}`,
        SERVICE_TOKEN: 'a-service-token-of-tests',
      }
      execFile(process.execPath, ['infra/ops/main.ts', ...args], { env }, (error, out, said) =>
        resolve({ code: error ? Number(error.code) : 0, out, said }),
      )
    })
  const json = async (...args: string[]) => JSON.parse((await ops(...args, '--json')).out)
  const booking = (id: string, type: string): NewEvent => ({
    topic: topics.bookings,
    stream: bookingStream(id),
    type,
    data: sampleData(topics.bookings, type, type === 'BookingRequested' ? { bookingId: id } : {}),
  })
  /** What is published is also in the store, as the relay would have it. */
  const append = async (...events: NewEvent[]) => {
    const envelopes = await log.append(...events)
    await admin.query("select register_topics(array['bookings.events.v1'], 2)")
    for (const envelope of envelopes) {
      await admin.query('update log_heads set position = greatest(position, $3) where topic = $1 and partition = $2', [
        envelope.topic,
        envelope.partition,
        envelope.position,
      ])
      await admin.query(
        `insert into streams values ($1, $2, $3, $4, $5) on conflict (tenant_id, stream) do update set version = excluded.version`,
        [envelope.tenantId, envelope.stream, envelope.streamVersion, envelope.topic, envelope.partition],
      )
      await admin.query('insert into events values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now())', [
        envelope.topic,
        envelope.partition,
        envelope.position,
        envelope.eventId,
        envelope.tenantId,
        envelope.stream,
        envelope.streamVersion,
        envelope.type,
        envelope.schemaVersion,
        JSON.stringify(envelope.data),
        JSON.stringify(envelope.metadata),
      ])
    }
  }

  it('explains itself, and says what it did not understand', async () => {
    const help = await ops('--help')
    expect(help.code).to.equal(0)
    for (const command of [
      'streams',
      'events <stream>',
      'lag',
      'parked',
      'retry',
      'rebuild',
      'switch',
      'unknown',
      'tenants',
    ])
      expect(help.out).to.include(command)
    for (const args of [
      ['nonsense'],
      ['events'],
      ['lag', 'too', 'many'],
      ['streams', '--limit', 'x'],
      ['streams', '--what'],
    ]) {
      const { code, said } = await ops(...args)
      expect(code, args.join(' ')).to.equal(2)
      expect(said).to.match(/^✗ .*--help/)
    }
  })

  it('shows streams and their events, payloads only when asked for', async () => {
    await append(
      booking('bkg_1', 'BookingRequested'),
      booking('bkg_1', 'HoldPlaced'),
      booking('bkg_2', 'BookingRequested'),
    )
    const streams = await ops('streams', 'booking-bkg_1')
    expect(streams.out)
      .to.match(/tenant\s+stream\s+version/)
      .and.match(/coffeechain\s+booking-bkg_1\s+2/)
    expect(streams.out).to.not.include('bkg_2')
    const events = await ops('events', 'booking-bkg_1')
    expect(events.out)
      .to.match(/1\s+1\s+BookingRequested|1\s+\d+\s+BookingRequested/)
      .and.include('HoldPlaced')
    expect(events.out).to.not.include('CC1234567')
    expect((await ops('events', 'booking-bkg_1', '--data')).out).to.include('CC1234567')
    const missing = await ops('events', 'booking-nowhere')
    expect(missing.code).to.equal(1)
    expect(missing.said).to.include('There is no stream booking-nowhere')
  })

  it('shows how far every reader is', async () => {
    await append(booking('bkg_lag', 'BookingRequested'))
    await eventually(async () => {
      const rows: { reader: string; behind: number }[] = await json('lag')
      const of = (reader: string) => rows.find((row) => row.reader === reader)?.behind
      expect(of('relay')).to.equal(0)
      expect(of('booking_details.v1')).to.equal(0)
      expect(of('workers.dispatch')).to.be.above(0)
    })
  })

  it('shows what is parked and retries it', async () => {
    await append(booking('bkg_orphan', 'HoldPlaced'))
    await eventually(async () => expect((await ops('parked')).code).to.equal(1))
    const { out } = await ops('parked')
    expect(out)
      .to.match(/booking_details\.v1\s+coffeechain\s+booking-bkg_orphan\s+1\s+1/)
      .and.include('begins with BookingRequested')
    const again = await ops('retry', 'booking_details.v1', 'booking-bkg_orphan')
    expect(again.code).to.equal(1)
    expect(again.said).to.include('failed again')
    expect((await ops('retry', 'booking_details.v1', 'booking-other')).said).to.include('has not parked')

    await admin.query(
      `insert into parked_events (consumer, tenant_id, stream, stream_version, envelope, reason)
       values ('workers.dispatch', 'coffeechain', 'booking-bkg_x', 2, '{}', 'broken'), ('workers.dispatch', 'coffeechain', 'booking-bkg_x', 3, '{}', null)`,
    )
    expect((await ops('parked')).out).to.match(/workers\.dispatch\s+coffeechain\s+booking-bkg_x\s+1\s+2\s+\S+\s+broken/)
    const release = await ops('retry', 'workers.dispatch', 'booking-bkg_x')
    expect(release.code, release.said).to.equal(0)
    expect(released).to.deep.equal([
      ['/internal/parked/workers.dispatch/release', { tenantId: 'coffeechain', stream: 'booking-bkg_x' }],
    ])
  })

  it('rebuilds a read model beside the live one, compares, switches and gives up', async () => {
    await append(...['bkg_r1', 'bkg_r2', 'bkg_r3'].map((id) => booking(id, 'BookingRequested')))
    const built = await ops('rebuild', 'booking_list')
    expect(built.said).to.include('caught up').and.include('switch booking_list 2')
    expect(built.out).to.match(/booking_list\s+\d+\s+0\s+0\s+0\s+0/)
    expect(built.code).to.equal(0)

    const reader = new pg.Client(read.adminUrl)
    await reader.connect()
    await reader.query("update booking_list_2.booking_list set status = 'failed' where booking_id = 'bkg_r1'")
    const different = await ops('compare', 'booking_list', '2')
    expect(different.code).to.equal(1)
    await reader.query("update booking_list_2.booking_list set status = 'processing' where booking_id = 'bkg_r1'")
    expect((await ops('compare', 'booking_list', '2')).code).to.equal(0)
    const lacksAnEvent = (by: number) =>
      reader.query(
        "update booking_list_2.booking_list set stream_version = stream_version + $1 where booking_id = 'bkg_r1'",
        [by],
      )
    await lacksAnEvent(-1)
    expect((await ops('compare', 'booking_list', '2')).code, 'an event that never arrives').to.equal(1)
    await lacksAnEvent(1)

    expect((await ops('switch', 'booking_list', '2')).code).to.equal(0)
    const versions: { projection: string; status: string }[] = await json('versions')
    const statuses = versions.filter(({ projection }) => projection === 'booking_list').map(({ status }) => status)
    expect(statuses).to.deep.equal(['standby', 'live'])
    const refused = await ops('retire', 'booking_list', '2')
    expect(refused.code).to.equal(1)
    expect(refused.said).to.match(/no version 2 that could be retired/)
    expect((await ops('retire', 'booking_list', '1')).code).to.equal(0)
    expect((await ops('rebuild', 'nothing')).said).to.include('There is no projection nothing')
    await reader.end()
  }).timeout(60_000)

  it('shows calls whose outcome nobody knows', async () => {
    const step = (name: string, of: string) =>
      admin.query(
        `insert into open_steps values ('coffeechain', 'booking-bkg_1', $1, 1, now(), now() + interval '1 day', $2, 'c', 'e')`,
        [name, JSON.stringify({ of })],
      )
    expect((await ops('unknown')).out).to.equal('no unknown outcomes\n')
    await step('operator-decision', 'deduct')
    await step('reconcile-order', 'issue-tickets')
    const { out, said } = await ops('unknown')
    expect(out)
      .to.match(/booking-bkg_1\s+deduct\s+1\s+operator/)
      .and.match(/issue-tickets\s+1\s+machine/)
    expect(said).to.include('1 wait for a decision')
  })

  it('lists tenants', async () => {
    await log.append({
      topic: topics.tenants,
      stream: 'tenant-coffeechain',
      type: 'TenantRegistered',
      data: sampleData(topics.tenants, 'TenantRegistered'),
    })
    await eventually(async () => expect((await ops('tenants')).out).to.include('coffeechain'))
  })
}).timeout(60_000)
