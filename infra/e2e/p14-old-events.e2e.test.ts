/**
 * P14: every event version ever published still loads. BookingConfirmed went to version 2 (tickets with seats instead of
 * ticket numbers); a booking of the old days, its events in the real log in version 1, is read, listed, cancelled and
 * replayed like any other.
 *
 * Seen failing: with an upcaster of BookingConfirmed that drops the tickets (the passenger has none).
 */
import { randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expect } from 'chai'
import pg from 'pg'
import type { Member } from './member.ts'
import { runOps } from './run-ops.ts'
import { type System, startSystem } from './system.ts'

describe('P14: a booking that was confirmed in version 1', function () {
  this.timeout(60_000)
  let system: System
  let member: Member
  const oldId = 'bkg_confirmed_long_ago'

  before(async function () {
    this.timeout(120_000)
    system = await startSystem({ env: { PROJECTIONS_VERSIONS_POLL_MS: '100' } })
    member = await system.newMember({ balance: 1_000_000 })
    const booked = await member.book(await member.findFlight())
    expect(booked.status, JSON.stringify(booked.body)).to.equal(201)
    await copyAsOldBooking(system, booked.body.data.booking_id, oldId)
  })
  after(() => system?.stop())

  it('is shown and listed', async () => {
    await eventually(async () => expect((await member.get(oldId)).status).to.equal(200))
    const { data } = (await member.get(oldId)).body
    expect(data).to.include({ status: 'confirmed' })
    expect(data.passengers).to.deep.equal([{ name: 'John Doe', ticket_number: '0160000000001', seat: null }])
    const { bookings } = (await member.list()).body.data
    expect(bookings.map((row: { booking_id: string }) => row.booking_id)).to.include(oldId)
  })

  it('is understood by the decider and by the workers: it can be cancelled', async () => {
    const cancelled = await member.cancel(oldId)
    expect(cancelled.status, JSON.stringify(cancelled.body)).to.equal(200)
    expect(cancelled.body.data.refund.status).to.equal('processed')
    expect((await member.get(oldId)).body.data.status).to.equal('cancelled')
  })

  it('is replayed like any other', async () => {
    for (const name of ['booking_details', 'booking_list', 'ledger']) {
      const rebuilt = await runOps(system, 'rebuild', name)
      expect(rebuilt.code, `${name}: ${rebuilt.said} ${rebuilt.out}`).to.equal(0)
    }
    expect((await runOps(system, 'parked')).out).to.equal('nothing is parked\n')
  })
})

/** Appends the events of a booking once more under another id, its confirmation in version 1, as the store would have. */
async function copyAsOldBooking(system: System, fromId: string, toId: string): Promise<void> {
  const write = new pg.Client(system.writeDatabase.adminUrl)
  await write.connect()
  try {
    const { rows } = await write.query<{
      topic: string
      tenant_id: string
      stream_version: string
      type: string
      data: Record<string, unknown>
      metadata: unknown
    }>(
      `select topic, tenant_id, stream_version, type, data, metadata from events where stream = $1 order by stream_version`,
      [`booking-${fromId}`],
    )
    const [first] = rows
    if (!first) throw new Error('the booking to copy has events')
    const { topic, tenant_id } = first
    const stream = `booking-${toId}`
    const topics = await write.query<{ partitions: number }>('select partitions from log_topics where topic = $1', [
      topic,
    ])
    // As the store places streams.
    const partition = crc32(`${tenant_id}/${stream}`) % (topics.rows[0]?.partitions ?? 1)
    await write.query('begin')
    const head = await write.query<{ position: string }>(
      'update log_heads set position = position + $3 where topic = $1 and partition = $2 returning position',
      [topic, partition, rows.length],
    )
    const base = Number(head.rows[0]?.position) - rows.length
    for (const [i, { stream_version, type, data, metadata }] of rows.entries()) {
      const isConfirmation = type === 'BookingConfirmed'
      const old = isConfirmation ? asVersion1(data) : { ...data, ...('bookingId' in data ? { bookingId: toId } : {}) }
      await write.query(
        `insert into events (topic, partition, position, event_id, tenant_id, stream, stream_version, type, schema_version, data, metadata, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, now())`,
        [
          topic,
          partition,
          base + i + 1,
          randomUUID(),
          tenant_id,
          stream,
          stream_version,
          type,
          JSON.stringify(old),
          JSON.stringify(metadata),
        ],
      )
    }
    await write.query('insert into streams values ($1, $2, $3, $4, $5)', [
      tenant_id,
      stream,
      rows.length,
      topic,
      partition,
    ])
    await write.query('commit')
  } finally {
    await write.end()
  }
}

function asVersion1({ tickets: _, ...data }: Record<string, unknown>): Record<string, unknown> {
  return { ...data, ticketNumbers: ['0160000000001'] }
}
