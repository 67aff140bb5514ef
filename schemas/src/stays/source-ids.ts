/** Ids for reservations of a database that has none (contract 1 and 2). */
import { createHash } from 'node:crypto'
import { dayNumber, daySchema } from './periods.ts'

const DAY_MS = 86_400_000
/** Of a UUIDv7's time, 48 bits of milliseconds since 1970. */
const TIME_MAX = 2 ** 48 - 1

/**
 * The id of a source's row, the same in every run: its time is the day of arrival (0 before 1970, and for what is no day), the rest a hash of
 * the row. nth: 0 for the first of several identical rows, which are different reservations.
 */
export function sourceReservationId(
  { propertyId, startDate, nights }: { propertyId: string | null; startDate: string | null; nights: number | null },
  nth: number,
): string {
  const isDay = daySchema.safeParse(startDate).success
  const time = isDay ? Math.min(Math.max(0, dayNumber(String(startDate)) * DAY_MS), TIME_MAX) : 0
  const bytes = createHash('sha256')
    .update(JSON.stringify([propertyId, startDate, nights, nth]))
    .digest()
    .subarray(0, 16)
  bytes.writeUIntBE(time, 0, 6)
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
