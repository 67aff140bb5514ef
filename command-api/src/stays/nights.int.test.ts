/**
 * P6 for stays: a night is sold once, on a real database, with two stores as two processes; what may stand is worked out by a plain model of sets
 * of days. `STAYS_SEED=<seed>` repeats a history.
 *
 * Seen failing: with the condition on `ask` left out; with a refusal that only ends the function; with nights that are never freed; without
 * the look at the property.
 */
import {
  asked,
  dayText,
  type IntervalRule,
  intervalRules,
  occupied,
  type Period,
} from '@portolan/schemas/stays/periods.ts'
import { expect } from 'chai'
import { createStoreFixture, type Fixture, type Store } from '../event-store/store-fixture.ts'
import { createRandom, nightsHeld as heldIn, registered, staysOn } from './stays-fixture.ts'

/** A tenant's nights are kept by one rule. */
const tenantFor = (rule: IntervalRule) => `stays-${rule}`

describe('nights in the write database', () => {
  let fixture: Fixture
  let stores: Store[]
  let made = 0

  before(async () => {
    fixture = await createStoreFixture()
    stores = [await fixture.open(), await fixture.open()]
  })
  after(() => fixture.close())

  const store = (nth: number) => stores[nth % stores.length] as Store

  const newProperty = (rule: IntervalRule = 'nights') => registered(store(0), tenantFor(rule), `property-${++made}`)
  const on = (where: Store, rule: IntervalRule = 'nights') => staysOn(where, tenantFor(rule), rule)
  /** The reservation's id, or the code it was refused with. */
  const reserve = (where: Store, propertyId: string, period: Period, rule?: IntervalRule) =>
    on(where, rule).reserve(propertyId, period)
  const cancel = (where: Store, reservationId: string, rule?: IntervalRule) => on(where, rule).cancel(reservationId)
  const change = (where: Store, reservationId: string, period: Period, rule?: IntervalRule) =>
    on(where, rule).change(reservationId, period)
  const nightsHeld = (propertyId: string) => heldIn(fixture.admin, propertyId)

  it('sell one night once to 200 who ask at the same time, over two processes', async () => {
    const propertyId = await newProperty()
    const asking = Array.from({ length: 200 }, (_, nth) =>
      reserve(store(nth), propertyId, { startDate: '2027-05-01', nights: 1 }),
    )
    const answers = await Promise.all(asking)
    expect(answers.filter((answer) => answer === 'not-available')).to.have.length(199)
    expect(await nightsHeld(propertyId)).to.equal(1)
  })

  it('sell of overlapping stays only what fits, all nights of a stay or none, and nothing of a refused one stays taken', async () => {
    const propertyId = await newProperty()
    const wanted = Array.from({ length: 120 }, (_, nth) => ({
      startDate: dayText(21_000 + ((nth * 7) % 40)),
      nights: 1 + (nth % 9),
    }))
    const answers = await Promise.all(wanted.map((period, nth) => reserve(store(nth), propertyId, period)))
    const sold = wanted.filter((_, nth) => answers[nth] !== 'not-available')
    const days = sold.flatMap(daysOf)
    expect(new Set(days).size).to.equal(days.length)
    expect(await nightsHeld(propertyId)).to.equal(days.length)
    const left = wanted.filter((_, nth) => answers[nth] === 'not-available')
    for (const period of left) expect(daysOf(period).some((day) => days.includes(day))).to.equal(true)
  })

  it('are free again for exactly one of those who wait for a cancellation', async () => {
    const propertyId = await newProperty()
    const period = { startDate: '2027-06-29', nights: 4 }
    for (let round = 0; round < 5; round++) {
      const held = await reserve(store(round), propertyId, period)
      const asking = Array.from({ length: 20 }, (_, nth) => reserve(store(nth), propertyId, period))
      const [cancelled, ...answers] = await Promise.all([cancel(store(round + 1), held), ...asking])
      expect(cancelled).to.equal('done')
      const winners = answers.filter((answer) => answer !== 'not-available')
      expect(winners.length).to.be.at.most(1)
      expect(await nightsHeld(propertyId)).to.equal(winners.length * 4)
      await Promise.all(winners.map((winner) => cancel(store(0), winner)))
    }
  })

  it('go to a change or to a reservation, and a change that is refused keeps what it had', async () => {
    const propertyId = await newProperty()
    const held = await reserve(store(0), propertyId, { startDate: '2027-07-01', nights: 2 })
    const wanted = { startDate: '2027-07-02', nights: 3 }
    const [changed, reserved] = await Promise.all([
      change(store(0), held, wanted),
      reserve(store(1), propertyId, { startDate: '2027-07-03', nights: 2 }),
    ])
    expect([changed, reserved].filter((answer) => answer === 'not-available')).to.have.length(1)
    expect(await nightsHeld(propertyId)).to.equal(changed === 'done' ? 3 : 4)
    const own = changed === 'done' ? '2027-07-02' : '2027-07-01'
    expect(await reserve(store(1), propertyId, { startDate: own, nights: 1 })).to.equal('not-available')
  })

  it('belong to a property that is there and not retired; those sold before can still be given back', async () => {
    const propertyId = await newProperty()
    const period = { startDate: '2027-08-01', nights: 2 }
    const held = await reserve(store(0), propertyId, period)
    expect(await reserve(store(0), 'nowhere', period)).to.equal('unknown-property')
    expect(await on(store(1)).retire(propertyId)).to.equal('done')
    expect(await reserve(store(0), propertyId, { startDate: '2027-09-01', nights: 1 })).to.equal('unknown-property')
    expect(await change(store(0), held, { startDate: '2027-09-01', nights: 1 })).to.equal('unknown-property')
    expect(await cancel(store(0), held)).to.equal('done')
    expect(await nightsHeld(propertyId)).to.equal(0)
  })

  for (const rule of intervalRules) {
    it(`stand after a random history as the model says (${rule})`, async function () {
      this.timeout(60_000)
      const seed = Number(process.env.STAYS_SEED ?? Math.floor(Math.random() * 2 ** 31))
      const random = createRandom(seed)
      const propertyId = await newProperty(rule)
      const stays = new Map<string, Period>()
      for (let turn = 0; turn < 150; turn++) {
        const period = { startDate: dayText(21_000 + random(70)), nights: 1 + random(random(4) === 0 ? 40 : 5) }
        const kind = random(10)
        const [chosen] = [...stays.keys()].slice(random(Math.max(1, stays.size)))
        if (kind < 6 || chosen === undefined) {
          const answer = await reserve(store(turn), propertyId, period, rule)
          expect(answer === 'not-available', `STAYS_SEED=${seed}, turn ${turn}`).to.equal(
            !isFree(rule, period, [...stays.values()]),
          )
          if (answer !== 'not-available') stays.set(answer, period)
        } else if (kind < 8) {
          expect(await cancel(store(turn), chosen, rule)).to.equal('done')
          stays.delete(chosen)
        } else {
          const others = [...stays].flatMap(([id, other]) => (id === chosen ? [] : [other]))
          const answer = await change(store(turn), chosen, period, rule)
          expect(answer === 'done', `STAYS_SEED=${seed}, turn ${turn}`).to.equal(isFree(rule, period, others))
          if (answer === 'done') stays.set(chosen, period)
        }
      }
      const held = [...stays.values()].reduce((sum, period) => {
        const { from, until } = occupied(rule, period)
        return sum + until - from
      }, 0)
      expect(await nightsHeld(propertyId)).to.equal(held)
    })
  }
})

function daysOf(period: Period): number[] {
  const { from, until } = occupied('nights', period)
  return Array.from({ length: until - from }, (_, nth) => from + nth)
}

function isFree(rule: IntervalRule, period: Period, stays: readonly Period[]): boolean {
  const wanted = asked(rule, period)
  return stays.every((stay) => {
    const held = occupied(rule, stay)
    return held.until <= wanted.from || wanted.until <= held.from
  })
}
