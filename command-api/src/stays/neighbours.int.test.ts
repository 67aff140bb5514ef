/**
 * P1 and P10 within one commit: reservations that are committed together change nothing for each other, whatever becomes of their neighbours, and
 * each one's key gives its own answer afterwards.
 *
 * Seen failing: with an unexpected error that leaves the savepoint; with a refusal that keeps the nights it took before; with the key's record
 * left out of the transaction; with refusals that leave no record.
 */
import { randomUUID } from 'node:crypto'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { Period } from '@portolan/schemas/stays/periods.ts'
import { reservationStream } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import type { IdempotencyScope } from '../event-store/idempotency.ts'
import { contextOf, createStoreFixture, type Fixture, type Store } from '../event-store/store-fixture.ts'
import { loadStay, reserveStay, type StayDecision } from './decider.ts'
import { type ReservationState, reservationType } from './reservation.ts'
import { nightsHeld, registered, staysOn } from './stays-fixture.ts'

const tenantId = 'neighbours'
const villa = 'villa'
const rule = 'nights'

describe('reservations that are committed together', () => {
  let fixture: Fixture
  let store: Store

  before(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open()
    await registered(store, tenantId, villa)
  })
  after(() => fixture.close())

  const scope = (key: string, reference: string): IdempotencyScope => ({
    principal: 'guest:somebody',
    method: 'POST',
    path: '/api/v1/reservations',
    key,
    bodyHash: key,
    reference,
  })

  /** Of a new stream: nothing is loaded before, so commands of one turn are in one commit. */
  async function send(
    key: string,
    id: string,
    decide: (state: ReservationState, now: string) => StayDecision,
  ): Promise<string> {
    try {
      const handled = await store.handle({
        context: contextOf(tenantId),
        streams: { stay: { type: reservationType, stream: reservationStream(id), isNew: true } },
        decide: ({ stay }, now) => {
          const { events, effects } = decide(stay, now)
          return { events: { stay: events }, effects }
        },
        idempotency: scope(key, id),
      })
      return handled.replayed ? `again ${handled.reference}` : id
    } catch (error) {
      return error instanceof Rejection ? error.code : 'fault'
    }
  }
  const reserve = (key: string, period: Period, id: string = randomUUID()) =>
    send(key, id, (_, now) =>
      reserveStay({ reservationId: id, propertyId: villa, ...period, holder: 'somebody' }, rule, now),
    )
  /** Fails in the database after it has taken its first night. */
  const fail = (key: string, id: string, period: Period) =>
    send(key, id, (_, now) => {
      const { events, effects } = reserveStay(
        { reservationId: id, propertyId: villa, ...period, holder: 'somebody' },
        rule,
        now,
      )
      const broken = { name: 'change_nights', args: { propertyId: villa, asks: true, rule, months: 'none' } }
      return { events, effects: [...effects, broken] }
    })
  const load = (key: string, id: string, period: Period) =>
    send(key, id, (state, now) =>
      loadStay(state, { reservationId: id, propertyId: villa, ...period, asIs: false }, rule, now),
    )

  it('stand or fall each by itself, and are answered alike when they are sent again', async () => {
    const stays = staysOn(store, tenantId, rule)
    const may = (day: number, nights: number) => ({ startDate: `2027-05-${String(day).padStart(2, '0')}`, nights })
    const sold = await stays.reserve(villa, { startDate: '2027-06-02', nights: 1 })
    const loaded = randomUUID()
    expect(await load('first', loaded, may(1, 1))).to.equal(loaded)

    // A group is sorted by month and stream: of one key's two requests the first id wins.
    const ids: string[] = Array.from({ length: 4 }, () => randomUUID()).sort()
    const [one = '', two = '', broken = '', twin = ''] = ids
    const together = [
      reserve('one', may(10, 2), one),
      // Its nights of May are free and taken first, those of June are not.
      reserve('taken', { startDate: '2027-05-30', nights: 5 }),
      fail('broken', broken, may(20, 2)),
      // Its stream exists after all: it is decided again.
      load('loaded', loaded, may(1, 1)),
      reserve('one', may(10, 2), twin),
      reserve('two', may(12, 2), two),
    ]
    expect(await Promise.all(together)).to.deep.equal([one, 'not-available', 'fault', loaded, `again ${one}`, two])

    const { rows } = await fixture.admin.query(
      `select count(*)::int as events, count(distinct recorded_at)::int as commits from events where tenant_id = $1 and stream = any ($2)`,
      [tenantId, [reservationStream(one), reservationStream(two)]],
    )
    expect(rows).to.deep.equal([{ events: 2, commits: 1 }])
    expect(await nightsHeld(fixture.admin, villa)).to.equal(6)
    const { rows: streams } = await fixture.admin.query(
      `select stream from events where tenant_id = $1 and type = 'StayReserved' order by stream`,
      [tenantId],
    )
    const kept = [sold, loaded, one, two].map(reservationStream).sort()
    expect(streams.map(({ stream }) => stream)).to.deep.equal(kept)

    await stays.cancel(sold)
    const again = [
      reserve('one', may(10, 2)),
      reserve('taken', { startDate: '2027-05-30', nights: 5 }),
      load('loaded', loaded, may(1, 1)),
      reserve('two', may(12, 2)),
    ]
    expect(await Promise.all(again)).to.deep.equal([`again ${one}`, 'not-available', `again ${loaded}`, `again ${two}`])
    // A fault is no answer: the next try decides.
    expect(await reserve('broken', may(20, 2), broken)).to.equal(broken)
    expect(await reserve('broken', may(20, 2))).to.equal(`again ${broken}`)
    expect(await nightsHeld(fixture.admin, villa)).to.equal(7)
  })
})
