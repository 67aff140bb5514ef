import { expect } from 'chai'
import { loyaltyUnits, priceInCents } from './pricing.ts'

const rates = { date: '2026-11-01', toUsd: { EUR: '1.0825', JPY: '0.0066' } }
const fare = (supplierAmount: string, supplierCurrency = 'USD') => ({ supplierAmount, supplierCurrency })

describe('pricing', () => {
  it('takes a dollar fare as it is', () => {
    expect(priceInCents(fare('350.00'), rates)).to.deep.equal({ amountMinor: 35000, conversion: null })
    expect(priceInCents(fare('350'), rates)?.amountMinor).to.equal(35000)
    expect(priceInCents(fare('0.10'), rates)?.amountMinor).to.equal(10)
  })

  it('converts another currency once, rounding half up, and keeps the rate', () => {
    expect(priceInCents(fare('100.00', 'EUR'), rates)).to.deep.equal({
      amountMinor: 10825,
      conversion: { rate: '1.0825', date: '2026-11-01' },
    })
    expect(priceInCents(fare('0.02', 'EUR'), rates)?.amountMinor).to.equal(2)
    expect(priceInCents(fare('0.46', 'EUR'), rates)?.amountMinor, '49.795 cents').to.equal(50)
    expect(priceInCents(fare('250', 'JPY'), rates)?.amountMinor, '165 cents').to.equal(165)
  })

  it('rounds exactly half a cent up', () => {
    expect(priceInCents(fare('1.00', 'EUR'), { date: 'd', toUsd: { EUR: '1.005' } })?.amountMinor).to.equal(101)
  })

  it('has no price for a currency without a rate', () => {
    expect(priceInCents(fare('100.00', 'XXX'), rates)).to.equal(null)
  })

  it('turns cents into a programme currency by an exact rate', () => {
    const currency = (perCentNumerator: number, perCentDenominator: number) => ({
      name: 'stars',
      perCentNumerator,
      perCentDenominator,
    })
    expect(loyaltyUnits(35000, currency(1, 1))).to.equal(35000)
    expect(loyaltyUnits(35050, currency(1, 100))).to.equal(351)
    expect(loyaltyUnits(9_007_199_254_740, currency(10, 1))).to.equal(90_071_992_547_400)
  })
})
