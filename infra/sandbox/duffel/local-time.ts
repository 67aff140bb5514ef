/** Airport-local times: Duffel gives `2026-12-01T09:25:00`, local to the airport, without an offset. */

const formatters = new Map<string, Intl.DateTimeFormat>()

/**
 * The local time in a zone.
 *
 * utcMs: milliseconds since the epoch. Returns `YYYY-MM-DDTHH:MM:00`.
 */
export function toLocal(utcMs: number, timeZone: string): string {
  const offset = offsetMs(utcMs, timeZone)
  return `${new Date(utcMs + offset).toISOString().slice(0, 16)}:00`
}

/**
 * The instant of a local time.
 *
 * date: `YYYY-MM-DD`; minutes: minutes after local midnight. Returns milliseconds since the epoch. A local time that a
 * clock change skips or repeats gives one of its neighbours.
 */
export function fromLocal(date: string, minutes: number, timeZone: string): number {
  const asIfUtc = Date.parse(`${date}T00:00:00Z`) + minutes * 60_000
  const guess = asIfUtc - offsetMs(asIfUtc, timeZone)
  return asIfUtc - offsetMs(guess, timeZone)
}

/** Milliseconds by which a zone is ahead of UTC at an instant. */
function offsetMs(utcMs: number, timeZone: string): number {
  const parts = formatterOf(timeZone).formatToParts(utcMs)
  const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((entry) => entry.type === type)?.value)
  const local = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
  return local - Math.floor(utcMs / 1000) * 1000
}

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone)
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
    formatters.set(timeZone, formatter)
  }
  return formatter
}

/** ISO 8601 duration as Duffel prints it: `PT7H25M`, `P1DT2H5M`. */
export function isoDuration(minutes: number): string {
  const days = Math.floor(minutes / 1440)
  const hours = Math.floor((minutes % 1440) / 60)
  const rest = minutes % 60
  const time = `${hours > 0 ? `${hours}H` : ''}${rest > 0 || minutes === 0 ? `${rest}M` : ''}`
  return `P${days > 0 ? `${days}D` : ''}${time === '' ? '' : `T${time}`}`
}

/** `YYYY-MM-DD` so many days later. */
export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)
}
