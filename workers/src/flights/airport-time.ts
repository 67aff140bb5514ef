/**
 * Suppliers give airport-local wall times without an offset; we show true UTC. One wall time can name two instants (clocks
 * go back) or none (clocks go forward), so a segment's known duration chooses among the candidates.
 * Built on Intl: Temporal is not there on every Node version we run on.
 */

const formatters = new Map<string, Intl.DateTimeFormat>()
const FORMATTERS_MAX = 1_000

/** Wall time `YYYY-MM-DDTHH:MM[:SS]`, as suppliers write it. */
const wallTimePattern = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2}))?$/

/**
 * All instants (UTC milliseconds, ascending) at which a clock in `timeZone` shows `localTime`.
 *
 * localTime: `YYYY-MM-DDTHH:MM[:SS]`. timeZone: IANA name.
 * A time that the clocks skip yields the instant the same reading would have had before the change.
 * Throws RangeError for a malformed time or an unknown zone.
 */
export function instantsOfLocalTime(localTime: string, timeZone: string): number[] {
  const wallMs = wallTimeMs(localTime)
  const offsets = new Set([offsetMs(wallMs - 86_400_000, timeZone), offsetMs(wallMs + 86_400_000, timeZone)])
  const candidates = [...offsets]
    .map((offset) => wallMs - offset)
    .filter((instant) => instant + offsetMs(instant, timeZone) === wallMs)
    .sort((a, b) => a - b)
  return candidates.length > 0 ? candidates : [wallMs - offsetMs(wallMs - 86_400_000, timeZone)]
}

/**
 * Departure and arrival of a flight as UTC milliseconds.
 *
 * durationMs: the supplier's stated flying time, null when unknown; it decides ambiguous wall times.
 * Throws RangeError when a time cannot be read or no reading lets the flight arrive after it departs.
 */
export function flightInstants(
  departure: { localTime: string; timeZone: string },
  arrival: { localTime: string; timeZone: string },
  durationMs: number | null,
): { departureMs: number; arrivalMs: number } {
  const readings = instantsOfLocalTime(departure.localTime, departure.timeZone)
    .flatMap((departureMs) =>
      instantsOfLocalTime(arrival.localTime, arrival.timeZone).map((arrivalMs) => ({ departureMs, arrivalMs })),
    )
    .filter(({ departureMs, arrivalMs }) => arrivalMs > departureMs)
  const fitting = readings.find(({ departureMs, arrivalMs }) => arrivalMs - departureMs === durationMs)
  const chosen = fitting ?? readings[0]
  if (!chosen) throw new RangeError('flight arrives before it departs')
  return chosen
}

/** Milliseconds of an ISO 8601 duration of days, hours, minutes and seconds (`P1DT2H30M`, `PT02H26M`); null when it is none. */
export function parseDurationMs(duration: string | null): number | null {
  const match = /^P(?:(\d{1,3})D)?(?:T(?:(\d{1,3})H)?(?:(\d{1,4})M)?(?:(\d{1,5})S)?)?$/.exec(duration ?? '')
  if (!match) return null
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = match.slice(1).map((part) => Number(part ?? 0))
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 || null
}

/** ISO 8601 duration in hours and minutes, `PT5H30M`; hours are not folded into days. */
export function formatDuration(durationMs: number): string {
  const minutes = Math.round(durationMs / 60_000)
  const hours = Math.floor(minutes / 60)
  return `PT${hours > 0 ? `${hours}H` : ''}${minutes % 60 > 0 || hours === 0 ? `${minutes % 60}M` : ''}`
}

/** `YYYY-MM-DDTHH:MM:SS`, seconds added when the supplier left them out. Throws RangeError when it is no wall time. */
export function normalizeLocalTime(localTime: string): string {
  return new Date(wallTimeMs(localTime)).toISOString().slice(0, 19)
}

function wallTimeMs(localTime: string): number {
  const match = wallTimePattern.exec(localTime)
  if (!match) throw new RangeError('not a wall time')
  const ms = Date.parse(`${localTime.slice(0, 16)}:${match[6] ?? '00'}Z`)
  if (Number.isNaN(ms)) throw new RangeError('not a wall time')
  return ms
}

/** What a clock in `timeZone` shows minus UTC, at an instant. */
function offsetMs(instantMs: number, timeZone: string): number {
  const parts = Object.fromEntries(
    formatterOf(timeZone)
      .formatToParts(instantMs)
      .map((part) => [part.type, part.value]),
  )
  const shown = Date.UTC(
    Number(parts.year),
    Number(parts.month) - 1,
    Number(parts.day),
    Number(parts.hour),
    Number(parts.minute),
    Number(parts.second),
  )
  return shown - Math.floor(instantMs / 1000) * 1000
}

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone)
  if (known) return known
  const formatter = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  // Zone names come from outside and are accepted in any case, so the cache could grow without this.
  if (formatters.size >= FORMATTERS_MAX) formatters.clear()
  formatters.set(timeZone, formatter)
  return formatter
}
