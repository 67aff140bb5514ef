import { expect } from 'chai'
import { createStoreFixture } from '../event-store/store-fixture.ts'
import { pruneOffers } from './offers.ts'

describe('stored offers', () => {
  let fixture: Awaited<ReturnType<typeof createStoreFixture>>

  before(async () => {
    fixture = await createStoreFixture()
    await fixture.admin.query(`
      insert into offers (tenant_id, flight_id, member_id, offer, price, expires_at)
      select 'harbour', 'flt_' || n, 'M1', '{}', '{}', now() - case when n <= 25 then interval '25 hours' else interval '23 hours' end
      from generate_series(1, 30) n`)
  })
  after(() => fixture.close())

  it('are pruned a day after they expired, in as many batches as it takes and no more than allowed', async () => {
    const { pool } = await fixture.open()
    expect(await pruneOffers(pool, 4, 3)).to.equal(12)
    expect(await pruneOffers(pool, 4, 100)).to.equal(13)
    const { rows } = await fixture.admin.query('select count(*)::integer as kept from offers')
    expect(rows).to.deep.equal([{ kept: 5 }])
  })
})
