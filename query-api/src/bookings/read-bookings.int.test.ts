/** Reading rows while others are written. Seen failing: with the page and its total asked for in two statements. */
import { createPool } from '@portolan/infra/postgres.ts'
import { createRecordingLogger } from '@portolan/infra/testing/recording-logger.ts'
import { expect } from 'chai'
import type pg from 'pg'
import { type QueryFixture, queryFixture } from '../query-fixture.ts'
import { listBookings } from './read-bookings.ts'

const all = { status: undefined, createdFrom: undefined, createdBefore: undefined, limit: 10 }

describe('a page of bookings', () => {
  let fixture: QueryFixture
  let pool: pg.Pool
  /** What happens elsewhere as soon as one statement about bookings was answered. */
  let meanwhile: (() => Promise<unknown>) | undefined

  before(async () => {
    fixture = await queryFixture()
    const database = { url: fixture.database.url, max: 1, name: 'a page of bookings' }
    pool = createPool(database, createRecordingLogger())
    pool.on('connect', (client) => {
      const query = client.query.bind(client)
      Object.assign(client, {
        query: async (asked: pg.QueryConfig) => {
          const answer = await query(asked)
          if (asked.text?.includes('booking_list')) await meanwhile?.()
          return answer
        },
      })
    })
  })
  after(async () => {
    await pool?.end()
    await fixture?.close()
  })

  it('and the total beside it are of one moment', async () => {
    const { memberId } = await fixture.insertBooking('coffeechain', { bookingId: 'bkg_1' })
    let bookings = 1
    meanwhile = () => {
      bookings += 1
      return fixture.insertBooking('coffeechain', { bookingId: `bkg_${bookings}` })
    }
    const { rows, total } = await listBookings(pool, 'coffeechain', memberId, { ...all, offset: 0 })
    expect(total).to.equal(rows.length)
    expect(bookings).to.be.greaterThan(1)
  })

  it('beyond the end is empty and still has the total', async () => {
    meanwhile = undefined
    const { memberId } = await fixture.insertBooking('teachain', {})
    const { rows, total } = await listBookings(pool, 'teachain', memberId, { ...all, offset: 5 })
    expect({ rows, total }).to.deep.equal({ rows: [], total: 1 })
  })
})
