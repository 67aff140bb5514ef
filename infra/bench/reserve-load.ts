/**
 * The load of B1 and `hot`, a process of its own: clients in a closed loop, each with a token of its own, who reserve one night at a time.
 *
 *   own: every request asks for a night that nobody else asks for, spread over all properties.
 *   hot: everybody asks for the next night of one property that has not been asked for and answered yet.
 *
 * What was accepted is written to a file, one line each, before the result is.
 */
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { dayText } from '@portolan/schemas/stays/periods.ts'
import { openWire, type WireAnswer } from './http-wire.ts'
import { quantile } from './quantile.ts'

export interface ReserveLoad {
  /** Clients are dealt out over them. */
  urls: readonly string[]
  clients: number
  warmUpSeconds: number
  seconds: number
  kind: 'own' | 'hot'
  /** How many there are, `property-0` first; `hot` takes the first. */
  properties: number
  /** Number of the first night that nobody has asked for; `until` of the load before. */
  from: number
  /** An idempotency key with every request. */
  withKeys: boolean
  /** Gets `id<tab>property<tab>day` for every 200, those of the warm-up included. */
  acceptedFile: string
}

export interface ReserveLoadResult {
  /** Within the seconds that were measured. */
  acceptedPerSecond: number
  notAvailablePerSecond: number
  p50Ms: number
  p99Ms: number
  /** Answers since the warm-up's end, those of the last requests included. */
  answered: number
  /** Anything but 200 and not_available, warm-up included: `503: 3`. */
  unexpected: Record<string, number>
  until: number
}

/** 2030-01-01. */
const FIRST_DAY = 21_915

const load = JSON.parse(process.argv[2] ?? '{}') as ReserveLoad
let next = load.from
const accepted: string[] = []
const durations: number[] = []
const counts = { accepted: 0, notAvailable: 0, answered: 0 }
const unexpected: Record<string, number> = {}
const measuresFrom = performance.now() + load.warmUpSeconds * 1000
const endsAt = measuresFrom + load.seconds * 1000

function nightOf(nth: number): { property: string; day: string } {
  if (load.kind === 'hot') return { property: 'property-0', day: dayText(FIRST_DAY + nth) }
  return {
    property: `property-${nth % load.properties}`,
    day: dayText(FIRST_DAY + Math.floor(nth / load.properties)),
  }
}

async function client(url: string): Promise<void> {
  const wire = await openWire(url)
  const authorization = `Authorization: Bearer ${randomUUID()}\r\n`
  while (performance.now() < endsAt) {
    const nth = load.kind === 'own' ? next++ : next
    const { property, day } = nightOf(nth)
    const head = load.withKeys ? `${authorization}Idempotency-Key: ${randomUUID()}\r\n` : authorization
    const sentAt = performance.now()
    const answer = await wire.post(
      '/api/v1/reservations',
      head,
      `{"property_id":"${property}","start_date":"${day}","nights":1}`,
    )
    note(answer, sentAt, property, day)
    if (load.kind === 'hot') next = Math.max(next, nth + 1)
  }
  wire.close()
}

function note({ status, body }: WireAnswer, sentAt: number, property: string, day: string): void {
  const now = performance.now()
  const isAccepted = status === 200
  const isNotAvailable = status === 400 && body.includes('"not_available"')
  if (isAccepted) accepted.push(`${/"reservation_id":"([^"]+)"/.exec(body)?.[1]}\t${property}\t${day}`)
  if (!isAccepted && !isNotAvailable) unexpected[status] = (unexpected[status] ?? 0) + 1
  if (now < measuresFrom) return
  counts.answered += 1
  if (now >= endsAt) return
  if (isAccepted) counts.accepted += 1
  if (isNotAvailable) counts.notAvailable += 1
  durations.push(now - sentAt)
}

setTimeout(() => process.send?.('measuring'), load.warmUpSeconds * 1000)
await Promise.all(Array.from({ length: load.clients }, (_, n) => client(load.urls[n % load.urls.length] ?? '')))
writeFileSync(load.acceptedFile, accepted.map((line) => `${line}\n`).join(''))
const result: ReserveLoadResult = {
  acceptedPerSecond: counts.accepted / load.seconds,
  notAvailablePerSecond: counts.notAvailable / load.seconds,
  p50Ms: quantile(durations, 0.5),
  p99Ms: quantile(durations, 0.99),
  answered: counts.answered,
  unexpected,
  until: next,
}
process.stdout.write(`${JSON.stringify(result)}\n`)
process.disconnect?.()
