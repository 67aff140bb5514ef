/**
 * The sample under all three rules, on a real database.
 *
 * Seen failing: with `asIs` left out (under closed two reservations are missing); with another id than an import gives; with the state not
 * looked at when a row is there.
 */
import { type IntervalRule, intervalRules } from '@portolan/schemas/stays/periods.ts'
import { sourceReservationId } from '@portolan/schemas/stays/source-ids.ts'
import { reservationStream } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { contextOf, createStoreFixture, type Fixture, type Store } from '../event-store/store-fixture.ts'
import { reserveStay } from './decider.ts'
import { reservationType } from './reservation.ts'
import { loadSample, sample } from './sample.ts'

const contextFor = (rule: IntervalRule) => contextOf(`stays-${rule}`)
const newId = () => {
  throw new Error('the ids of the sample are fixed')
}

describe('the sample of stays', () => {
  let fixture: Fixture
  let store: Store

  before(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open()
  })
  after(() => fixture.close())

  const load = (rule: IntervalRule) => loadSample({ store, rule, newId }, contextFor(rule))
  const rowsOf = async (text: string, rule: IntervalRule) =>
    (await fixture.admin.query(text, [contextFor(rule).tenantId])).rows

  for (const rule of intervalRules) {
    it(`is loaded as it is, once, with its fixed ids: ${rule}`, async () => {
      expect((await Promise.all([load(rule), load(rule)])).reduce((sum, loaded) => sum + loaded)).to.equal(18)
      expect(await load(rule)).to.equal(0)
      const events = await rowsOf(
        `select data ->> 'reservationId' as id from events where tenant_id = $1 and type = 'StayReserved'`,
        rule,
      )
      expect(events.map(({ id }) => id)).to.have.members(sample.reservations.map(({ reservationId }) => reservationId))
      const shared = await rowsOf(
        `select property_id, twice from stay_months where tenant_id = $1 and twice > 0 order by property_id`,
        rule,
      )
      const day = (nth: number) => 2 ** (nth - 1)
      expect(shared).to.deep.equal(
        rule === 'closed'
          ? [
              { property_id: 'SnbrmRLFxOhCAT', twice: day(17) },
              { property_id: 'xE6vqTqA6LTwpE', twice: day(4) },
            ]
          : [],
      )
    })

    it(`is what new reservations are checked against: ${rule}`, async () => {
      const command = {
        reservationId: '01890000-0000-7000-8000-000000000001',
        propertyId: 'djddZlw8apLVfi',
        startDate: '2021-01-12',
        nights: 2,
        holder: 'a guest',
      }
      const reserving = store.handle({
        context: contextFor(rule),
        streams: { stay: { type: reservationType, stream: reservationStream(command.reservationId), isNew: true } },
        decide: (_, now) => {
          const { events, effects } = reserveStay(command, rule, now)
          return { events: { stay: events }, effects }
        },
      })
      const code = await reserving.then(
        () => 'reserved',
        (error) => error.code,
      )
      expect(code).to.equal(rule === 'nights' ? 'reserved' : 'not-available')
    })
  }

  it('does not bring back what was cancelled or changed since', async () => {
    const [first, second] = sample.reservations
    if (!(first && second)) throw new Error('the sample is empty')
    const at = '2027-01-01T00:00:00.000Z'
    for (const event of [
      { type: 'StayCancelled' as const, data: { ...first, at } },
      { type: 'StayDatesChanged' as const, data: { ...second, nights: 3, at } },
    ])
      await store.handle({
        context: contextFor('nights'),
        streams: { stay: { type: reservationType, stream: reservationStream(event.data.reservationId) } },
        decide: () => ({ events: { stay: [event] } }),
      })
    expect(await load('nights')).to.equal(0)
  })

  it('has the ids that an import gives to its rows', () => {
    for (const { reservationId, ...row } of sample.reservations)
      expect(sourceReservationId(row, 0)).to.equal(reservationId)
  })
})
