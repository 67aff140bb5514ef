/**
 * P11: you can read your own write. A reader without a token writes and reads at once, over two command-api and two
 * query-api processes, and never sees an older row; while the projections stand still, reads wait and then say so.
 *
 * Seen failing: with the wait left out of `createConsistentRead` (old rows within the first dozen reads), and with
 * `remember` left out of `createNoteWritten` (the same for readers without a token).
 */
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expect } from 'chai'
import type { FlightChoice, Member } from './member.ts'
import { type System, startSystem } from './system.ts'

const writes = 500
const readers = 4

describe('P11: a member who has written', function () {
  this.timeout(300_000)
  let system: System
  before(async function () {
    this.timeout(120_000)
    system = await startSystem({ commandApis: 2, queryApis: 2 })
  })
  after(() => system?.stop())

  /** Flights over the approval line: such a booking is decided at once and moves nothing, so the writes are fast. */
  async function* dearFlights(member: Member): AsyncGenerator<FlightChoice> {
    for (;;) {
      const { status, body } = await member.search({ cabinClass: 'business' })
      expect(status, JSON.stringify(body)).to.equal(200)
      expect(body.data.flights).to.not.deep.equal([])
      for (const { id, price } of body.data.flights)
        if (price.loyalty_amount > 50_000)
          yield { flightId: id, amount: price.loyalty_amount, currency: price.loyalty_currency }
    }
  }

  it(`reads it at once, ${writes} times, without a token`, async () => {
    const seen = await Promise.all(
      Array.from({ length: readers }, async () => {
        const member = await system.newMember({ balance: 1_000_000_000 })
        const flights = dearFlights(member)
        const answers: string[] = []
        while (answers.length < writes / readers) {
          const { value: flight } = await flights.next()
          const created = await member.book(flight)
          expect(created.status, JSON.stringify(created.body)).to.equal(201)
          const { booking_id } = created.body.data
          answers.push(await lookUp(member, booking_id, 'pending_approval'))
          expect((await member.cancel(booking_id)).status).to.equal(200)
          answers.push(await lookUp(member, booking_id, 'cancelled'))
        }
        return answers
      }),
    )
    const wrong = seen.flat().filter((answer) => answer !== 'as written')
    expect(wrong).to.deep.equal([])
    expect(seen.flat()).to.have.length.at.least(writes)
  })

  /** Detail and list, one after the other, each at another process. */
  async function lookUp(member: Member, bookingId: string, expected: string): Promise<string> {
    const detail = await member.get(bookingId)
    if (detail.status !== 200 || detail.body.data.status !== expected)
      return `detail ${detail.status} ${detail.body.data?.status} instead of ${expected}`
    const list = await member.list('?limit=1')
    const first = list.body.data?.bookings[0]
    if (first?.booking_id !== bookingId || first.status !== expected)
      return `list ${list.status} ${first?.status} instead of ${expected}`
    return 'as written'
  }

  it('waits for it and is then refused while the projections stand still, with a token and without', async () => {
    const member = await system.newMember({ balance: 1_000_000_000 })
    const bystander = await system.newMember({ balance: 1_000_000_000 })
    const { value: flight } = await dearFlights(member).next()
    for (const projections of system.projections) projections.pause()
    const created = await member.book(flight)
    expect(created.status).to.equal(201)
    const { booking_id } = created.body.data
    const attempts: [string, Record<string, string>][] = [
      ['with a token', { 'Consistency-Token': created.token ?? '' }],
      ['without', {}],
    ]
    for (const [how, headers] of attempts) {
      const startedAt = performance.now()
      const answer = await member.get(booking_id, headers)
      expect(answer.status, how).to.equal(503)
      expect(answer.headers.get('retry-after'), how).to.equal('1')
      expect(performance.now() - startedAt, how).to.be.within(1900, 5000)
    }
    expect((await bystander.list()).status, 'who has written nothing need not wait').to.equal(200)

    for (const projections of system.projections) projections.resume()
    await eventually(
      async () => {
        const answer = await member.get(booking_id, { 'Consistency-Token': created.token ?? '' })
        expect(answer.status).to.equal(200)
        expect(answer.body.data.status).to.equal('pending_approval')
      },
      { withinMs: 30_000 },
    )
  })

  it('is told when a token is none of ours', async () => {
    const member = await system.newMember({ balance: 1000 })
    expect((await member.list('', { 'Consistency-Token': 'made-up' })).status).to.equal(400)
  })
})
