/**
 * The nights of the write database can be thrown away and made again from the log (P9 for the constraint), while guests go on reserving.
 * `STAYS_SEED=<seed>` repeats a history.
 *
 * Seen failing: with a rebuild that takes no lock; with cancelled reservations counted; with days that two occupy taken once; with months that
 * the log does not know left as they are; with the last day of a month left out.
 */
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { dayText, type IntervalRule, intervalRules, type Period } from '@portolan/schemas/stays/periods.ts'
import { expect } from 'chai'
import { createStoreFixture, type Fixture, type Store } from '../event-store/store-fixture.ts'
import { createRandom, nightsHeld, registered, type Stays, staysOn } from './stays-fixture.ts'

describe('nights made again from the log', () => {
  let fixture: Fixture
  let stores: Store[]

  before(async () => {
    fixture = await createStoreFixture()
    stores = [await fixture.open(), await fixture.open()]
  })
  after(() => fixture.close())

  const staysOf = (tenantId: string, rule: IntervalRule): Stays[] =>
    stores.map((store) => staysOn(store, tenantId, rule))
  const newProperty = (tenantId: string, propertyId: string) => registered(stores[0] as Store, tenantId, propertyId)

  async function rebuild(tenantId: string, rule: IntervalRule): Promise<number> {
    const { rows } = await fixture.admin.query('select rebuild_nights($1, $2) as differed', [tenantId, rule])
    return rows[0].differed
  }

  /** Rows in which a day is taken. */
  async function months(tenantId: string) {
    const { rows } = await fixture.admin.query(
      `select property_id, month, taken, twice from stay_months where tenant_id = $1 and taken <> 0 order by property_id, month`,
      [tenantId],
    )
    return rows
  }

  const properties = async (tenantId: string): Promise<{ property_id: string; retired: boolean }[]> =>
    (
      await fixture.admin.query(
        'select property_id, retired from stay_properties where tenant_id = $1 order by property_id',
        [tenantId],
      )
    ).rows

  for (const rule of intervalRules) {
    it(`are what they were, whatever had become of them (${rule})`, async function () {
      this.timeout(60_000)
      const seed = Number(process.env.STAYS_SEED ?? Math.floor(Math.random() * 2 ** 31))
      const random = createRandom(seed)
      const tenantId = `random-${rule}`
      const stays = staysOf(tenantId, rule)
      const villas = await Promise.all(['a', 'b', 'c'].map((name) => newProperty(tenantId, `${rule}-${name}`)))
      // Up to the first and the last day that can be written down, over leap days and ends of years.
      const starts = [dayText(-719_162), dayText(2_932_890), '2028-02-20', '2100-02-20', '2027-12-01', '2027-12-20']
      for (const villa of villas) {
        for (const startDate of starts) await stays[0]?.load(villa, { startDate, nights: 4 })
        await stays[0]?.load(villa, { startDate: '2028-02-22', nights: 1 + random(60) })
      }
      const kept: string[] = []
      for (let turn = 0; turn < 200; turn++) {
        const [on] = stays.slice(turn % stays.length)
        const villa = villas[random(villas.length)] ?? ''
        const period: Period = {
          startDate: dayText(21_000 + random(400)),
          nights: 1 + random(random(6) === 0 ? 100 : 4),
        }
        const [chosen] = kept.length > 0 && random(3) === 0 ? kept.splice(random(kept.length), 1) : []
        const outcome = chosen
          ? await (random(2) === 0 ? on?.cancel(chosen) : on?.change(chosen, period))
          : await on?.reserve(villa, period)
        if (outcome?.includes('-') && !/[g-z]/.test(outcome)) kept.push(outcome)
      }
      await stays[0]?.retire(villas[2] ?? '')
      const before = await months(tenantId)
      const propertiesBefore = await properties(tenantId)
      expect(propertiesBefore.map(({ retired }) => retired)).to.deep.equal([false, false, true])
      expect(before.length).to.be.greaterThan(20)
      expect(before.some(({ twice }) => twice !== 0)).to.equal(true)
      expect(await rebuild(tenantId, rule), `STAYS_SEED=${seed}`).to.equal(0)

      await fixture.admin.query(
        `update stay_months set taken = taken # 9, twice = 0 where tenant_id = $1 and month % 3 = 0`,
        [tenantId],
      )
      await fixture.admin.query('delete from stay_months where tenant_id = $1 and month % 3 = 1', [tenantId])
      await fixture.admin.query(
        `insert into stay_months (tenant_id, property_id, month, taken) values ($1, 'nowhere', 24000, 5)`,
        [tenantId],
      )
      await fixture.admin.query('delete from stay_properties where tenant_id = $1 and property_id = $2', [
        tenantId,
        villas[0],
      ])
      await fixture.admin.query('update stay_properties set retired = not retired where tenant_id = $1', [tenantId])
      expect(await months(tenantId)).not.to.deep.equal(before)
      expect(await rebuild(tenantId, rule)).to.be.greaterThan(5)
      expect(await months(tenantId), `STAYS_SEED=${seed}`).to.deep.equal(before)
      expect(await properties(tenantId)).to.deep.equal(propertiesBefore)
      expect(await rebuild(tenantId, rule)).to.equal(0)
    })
  }

  it('are sold once to guests who reserve and cancel all the while', async function () {
    this.timeout(60_000)
    const tenantId = 'busy'
    const stays = staysOf(tenantId, 'nights')
    const villa = await newProperty(tenantId, 'busy-villa')
    const rebuilds = 25
    let isOver = false
    let sold = 0
    const guest = async (nth: number) => {
      const on = stays[nth % stays.length] as Stays
      for (let turn = nth; !isOver; turn += 7) {
        const id = await on.reserve(villa, { startDate: dayText(21_000 + (turn % 40)), nights: 1 + (turn % 3) })
        if (id === 'not-available' || id === 'version-conflict') continue
        sold += 1
        // Refused as busy while months are made again; the last ones stay.
        while (!isOver && (await on.cancel(id)) !== 'done');
      }
    }
    const guests = Array.from({ length: 12 }, (_, nth) => guest(nth))
    try {
      for (let nth = 0; nth < rebuilds; nth++) {
        const before = sold
        // Taken by nobody: what a rebuild has to mend, in the rows that guests are changing.
        await fixture.admin.query('update stay_months set taken = taken | (1 << $2::int) where tenant_id = $1', [
          tenantId,
          nth,
        ])
        await rebuild(tenantId, 'nights')
        // Commits between two rebuilds, or there would be nothing to race with.
        await eventually(() => sold >= before + 3, { everyMs: 1 })
      }
    } finally {
      isOver = true
      await Promise.all(guests)
    }
    expect(await rebuild(tenantId, 'nights')).to.equal(0)
    const { rows } = await fixture.admin.query(
      `select count(*)::int as collisions, (select sum(nights)::int from live_stays($1)) as nights from stay_collisions($1, 'nights')`,
      [tenantId],
    )
    expect(rows).to.deep.equal([{ collisions: 0, nights: await nightsHeld(fixture.admin, villa) }])
  })
})
