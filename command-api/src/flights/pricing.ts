/** From a supplier's fare to US cents and a programme's currency. Integers throughout; nothing is computed in floating point. */
import type { SupplierOffer } from '@portolan/schemas/flights/offers.ts'
import type { TenantSettings } from '@portolan/schemas/tenants/messages.ts'

/** US dollars for one unit of each currency, as decimal strings, and the day they are from. */
export interface ExchangeRates {
  date: string
  toUsd: Readonly<Record<string, string>>
}

export interface PricedFare {
  /** Integer US cents. */
  amountMinor: number
  /** Null for a fare in USD. */
  conversion: { rate: string; date: string } | null
}

/** The fare in US cents, rounded half up once; null when no rate is configured for its currency. */
export function priceInCents(
  fare: Pick<SupplierOffer, 'supplierAmount' | 'supplierCurrency'>,
  rates: ExchangeRates,
): PricedFare | null {
  const amount = parseDecimal(fare.supplierAmount)
  if (fare.supplierCurrency === 'USD') return { amountMinor: toCents(amount), conversion: null }
  const rate = rates.toUsd[fare.supplierCurrency]
  if (!rate) return null
  const { units, scale } = parseDecimal(rate)
  const product = { units: amount.units * units, scale: amount.scale + scale }
  return { amountMinor: toCents(product), conversion: { rate, date: rates.date } }
}

/** Whole units of the tenant's currency for US cents, rounded half up where the rate does not divide. */
export function loyaltyUnits(
  cents: number,
  { perCentNumerator, perCentDenominator }: TenantSettings['currency'],
): number {
  const denominator = BigInt(perCentDenominator)
  return Number((BigInt(cents) * BigInt(perCentNumerator) * 2n + denominator) / (denominator * 2n))
}

interface Decimal {
  units: bigint
  /** Number of decimals. */
  scale: number
}

function parseDecimal(text: string): Decimal {
  const match = /^(\d{1,12})(?:\.(\d{1,8}))?$/.exec(text)
  if (!match) throw new Error('a fare or a rate is not a plain decimal')
  const [, whole = '0', fraction = ''] = match
  return { units: BigInt(whole + fraction), scale: fraction.length }
}

function toCents({ units, scale }: Decimal): number {
  const divisor = 10n ** BigInt(scale)
  return Number((units * 200n + divisor) / (divisor * 2n))
}
