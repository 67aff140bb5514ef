/**
 * Which bookings a republication marks (migration 000060) is what their state says. Seen failing when an end counts although a correction
 * came after it.
 */
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { contextOf, createStoreFixture } from '../event-store/store-fixture.ts'
import { type BookingSpec, confirmed, held, hour, outcomes, paid, requested, times } from './booking-spec.ts'
import { createBookingStreamType } from './stream-type.ts'

const failed = () => {
  const s = held().work('deduct', outcomes.timeout).operator('did-not-happen')
  return s.work('cancel-order', outcomes.cancelled)
}
const reopened = () => failed().correct('deduct', 1, true, { transactionId: 'txn_1' })

const histories: Record<string, () => BookingSpec> = {
  requested: () => requested(),
  'waiting for approval': () => requested({ approval: true }),
  rejected: () => requested({ approval: true }).reject(),
  expired: () =>
    requested({ approval: true })
      .after(25 * hour)
      .falls('approval-expiry'),
  paid: () => paid(),
  confirmed: () => confirmed(),
  cancelled: () => confirmed().cancel(false).work('cancel-order', outcomes.cancelled),
  failed,
  reopened,
  'reopened and ended again': () => reopened().work('refund', outcomes.refunded, 65_000),
  'corrected and never ended': () =>
    held().work('deduct', outcomes.timeout).operator('happened').correct('deduct', 1, false),
}

describe('the bookings that have not ended', function () {
  this.timeout(20_000)

  it('are those without an end in their state', async () => {
    const fixture = await createStoreFixture()
    try {
      const store = await fixture.open({ topics: [topics.bookings], partitions: 3 })
      const specs = Object.entries(histories).map(([name, make]) => ({ name, spec: make() }))
      // The histories hold their steps already.
      const type = { ...createBookingStreamType(times), next: undefined }
      for (const { name, spec } of specs) {
        await store.handle({
          context: contextOf(),
          streams: { booking: { type, stream: `booking-${name}`, isNew: true } },
          decide: () => ({ events: { booking: spec.events } }),
        })
      }
      const { rows } = await fixture.admin.query(`select stream, is_unended from unended_bookings('', '', 100)`)
      const unended = rows.map(({ stream, is_unended }) => [stream, is_unended]).sort()
      expect(unended).to.deep.equal(specs.map(({ name, spec }) => [`booking-${name}`, !spec.booking.endedAt]).sort())
    } finally {
      await fixture.close()
    }
  })
})
