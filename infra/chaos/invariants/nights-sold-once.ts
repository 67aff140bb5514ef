import type { Evidence, Invariant, Read, SentRequest, StoredEvent, Violation } from '../evidence.ts'
import type { NightRow } from './world.ts'

/** P6: a night is sold once, and whoever keeps or shows nights keeps those that the log says. The laboratory sells by nights. */
export const nightsSoldOnce: Invariant = {
  name: 'nights-sold-once',
  promises: ['P1', 'P6', 'P11'],
  says: 'no night of a property is reserved twice; the constraint and the search hold exactly the nights that are; what a guest was promised is there',
  check: ({ store, readSide, evidence }) => {
    const stays = standing(store.events)
    const nights = stays.flatMap(nightsOf)
    return {
      violations: [
        ...twice(nights),
        ...differing('the constraint', nights, store.nights),
        ...differing('the search', nights, readSide.nights),
        ...unkept(evidence, store.events),
        ...shownAgain(evidence),
      ],
      notes: [`${stays.length} stays stand`],
    }
  },
}

interface Stay {
  propertyId: string
  startDate: string
  nights: number
}

interface ReserveBody {
  property_id: string
  start_date: string
  nights: number
}

const DAY_MS = 86_400_000
const isReservation = ({ stream }: StoredEvent) => stream.startsWith('reservation-')

/** As the events leave them. */
function standing(events: readonly StoredEvent[]): Stay[] {
  const byStream = Map.groupBy(events.filter(isReservation), ({ tenantId, stream }) => `${tenantId} ${stream}`)
  return [...byStream.values()].flatMap((own) => {
    const last = own.toSorted((a, b) => a.streamVersion - b.streamVersion).at(-1)
    return last && last.type !== 'StayCancelled' ? [last.data as Stay] : []
  })
}

const nightsOf = ({ propertyId, startDate, nights }: Stay): NightRow[] =>
  Array.from({ length: nights }, (_, nth) => ({
    propertyId,
    day: new Date(Date.parse(startDate) + nth * DAY_MS).toISOString().slice(0, 10),
  }))

const nameOf = ({ propertyId, day }: NightRow) => `${day} of ${propertyId}`

function twice(nights: readonly NightRow[]): Violation[] {
  const counted = Map.groupBy(nights, nameOf)
  return [...counted].flatMap(([night, sold]) =>
    sold.length > 1 ? [{ what: `${night} is sold ${sold.length} times` }] : [],
  )
}

function differing(where: string, sold: readonly NightRow[], kept: readonly NightRow[]): Violation[] {
  const [wanted, found] = [new Set(sold.map(nameOf)), new Set(kept.map(nameOf))]
  return [
    ...[...wanted.difference(found)].map((night) => ({ what: `${night} is sold, and ${where} does not know` })),
    ...[...found.difference(wanted)].map((night) => ({ what: `${night} is free, and ${where} holds it` })),
  ]
}

const isReserve = ({ path }: SentRequest) => path === '/api/v1/reservations'
const reservedBy = ({ tries }: SentRequest) =>
  tries.flatMap(({ status, body, endedAt }) =>
    status === 200 ? [{ id: (body as { reservation_id: string }).reservation_id, endedAt }] : [],
  )

/** Reservations that somebody was told of and that no event speaks of, unless a restore took them. */
function unkept({ requests, lostEvents }: Evidence, events: readonly StoredEvent[]): Violation[] {
  const known = new Set([...events, ...lostEvents].filter(isReservation).map(({ stream }) => stream))
  return requests
    .filter(isReserve)
    .flatMap(reservedBy)
    .flatMap(({ id }) =>
      known.has(`reservation-${id}`) ? [] : [{ what: `reservation ${id} was answered and does not exist` }],
    )
}

/** Searches with the token of one's own reservation that still show its property. After a restore nobody knows what stood when. */
function shownAgain({ requests, reads, faults }: Evidence): Violation[] {
  if (faults.some(({ kind }) => kind === 'restore')) return []
  const own = requests.filter(isReserve).flatMap((request) => reservedBy(request).map((stay) => ({ request, ...stay })))
  return reads.flatMap((read) => {
    const search = /^\/api\/v1\/properties\/available\?(.*)$/.exec(read.path)
    if (!search || read.status !== 200 || !read.sentToken) return []
    const shown = new Set(
      (read.body as { properties: { property_id: string }[] }).properties.map((one) => one.property_id),
    )
    const asked = new URLSearchParams(search[1])
    const wanted = { startDate: asked.get('start_date') ?? '', nights: Number(asked.get('nights')) }
    return own.flatMap(({ request, id, endedAt }) => {
      const { property_id: propertyId, start_date: startDate, nights } = request.body as ReserveBody
      const isHeld = request.principal === read.principal && endedAt < read.sentAt && !mayHaveLeft(requests, id, read)
      if (!isHeld || !shown.has(propertyId) || !overlap({ propertyId, startDate, nights }, { propertyId, ...wanted }))
        return []
      return [{ what: `${read.path} at ${read.sentAt} showed ${propertyId}, which its guest holds by ${id}` }]
    })
  })
}

/** Whether its guest asked for other dates or to cancel before the read was answered. */
const mayHaveLeft = (requests: readonly SentRequest[], id: string, { endedAt }: Read) =>
  requests.some(
    ({ path, tries }) =>
      path.startsWith(`/api/v1/reservations/${id}/`) && tries.some(({ sentAt }) => sentAt <= endedAt),
  )

function overlap(a: Stay, b: Stay): boolean {
  const nights = new Set(nightsOf(a).map(nameOf))
  return nightsOf(b).some((night) => nights.has(nameOf(night)))
}
