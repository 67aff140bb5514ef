/** The supplier's prices: decimal strings of a currency, compared exactly. */
import type { LookedUpOrder } from '@portolan/schemas/bookings/results.ts'

type Amount = { supplierAmount: string; supplierCurrency: string }

/** Compares decimal strings of one currency exactly; another currency counts as more expensive. */
export function costsAtMost(a: Amount, b: Amount): boolean {
  return (
    a.supplierCurrency === b.supplierCurrency && tenThousandths(a.supplierAmount) <= tenThousandths(b.supplierAmount)
  )
}

/** Whether an order costs exactly what was offered; an order at another price is nothing we asked for. */
export function costsWhatWasOffered({ totalAmount, totalCurrency }: LookedUpOrder, offer: Amount): boolean {
  return (
    totalCurrency === offer.supplierCurrency && tenThousandths(totalAmount) === tenThousandths(offer.supplierAmount)
  )
}

function tenThousandths(decimal: string): bigint {
  const [whole = '0', fraction = ''] = decimal.split('.')
  return BigInt(whole + fraction.padEnd(4, '0').slice(0, 4))
}
