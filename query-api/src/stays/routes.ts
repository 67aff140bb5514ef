/** Searching stays and reading reservations (contracts/ota-api.md). Behind the guests' guard; any token may read. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { propertyIdSchema } from '@portolan/schemas/stays/messages.ts'
import { daySchema, type IntervalRule, searched } from '@portolan/schemas/stays/periods.ts'
import {
  type FoundProperties,
  periodOf,
  propertyReservationsQuerySchema,
  reservationView,
  type SearchStaysQuery,
  searchStaysQuerySchema,
  textsOf,
} from '@portolan/schemas/stays/views.ts'
import { reservationStream } from '@portolan/schemas/topics.ts'
import { Router } from 'express'
import type pg from 'pg'
import { z } from 'zod'
import type { ConsistentRead } from '../consistent-read.ts'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import { guestReader } from './guest-auth.ts'
import { type FoundRow, findReservation, listReservations, searchStays } from './read-stays.ts'

export interface StayRoutesDeps {
  pool: pg.Pool
  consistentRead: ConsistentRead
  metrics: Metrics
  rule: IntervalRule
}

const searchCursorSchema = z.tuple([propertyIdSchema])
const reservationCursorSchema = z.tuple([daySchema, z.uuid()])
const searchBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5]

/** Rejects: validation-error, no-availability, not-found, read-model-behind. */
export function createStayRoutes({ pool, consistentRead, metrics, rule }: StayRoutesDeps): Router {
  const routes = Router()
  const duration = metrics.histogram(
    'stays_search_duration_seconds',
    'Searches of stays in the database, by what they were filtered by',
    ['filter'],
    searchBuckets,
  )

  routes.get('/api/v1/properties/available', async (req, res) => {
    const query = parseInput(searchStaysQuerySchema, textsOf({ ...req.query }))
    const [after] = decodeCursor(searchCursorSchema, query.cursor) ?? [null]
    await consistentRead(req, res, guestReader(res), ['stays'])
    const stopTimer = duration.startTimer({ filter: filterOf(query) })
    const found = await searchStays(pool, searched(rule, periodOf(query)), after, query)
    stopTimer()
    if (found.length === 0 && after === null)
      throw new Rejection('no-availability', 'No property is free for these dates')
    res.json(foundProperties(found, query.limit))
  })

  routes.get('/api/v1/properties/:propertyId/reservations', async (req, res) => {
    const { limit, cursor } = parseInput(propertyReservationsQuerySchema, req.query)
    const after = decodeCursor(reservationCursorSchema, cursor)
    await consistentRead(req, res, guestReader(res), ['stays'])
    const { propertyId } = req.params
    const isId = propertyIdSchema.safeParse(propertyId).success
    const rows = isId ? await listReservations(pool, propertyId, after, limit) : null
    if (!rows) throw new Rejection('not-found', 'There is no such property')
    const page = rows.slice(0, limit)
    const last = rows.length > limit ? page.at(-1) : undefined
    res.json({
      property_id: propertyId,
      reservations: page.map((row) => reservationView(row, row.status)),
      ...(last && { next_cursor: encodeCursor([last.startDate, last.reservationId]) }),
    })
  })

  routes.get('/api/v1/reservations/:reservationId', async (req, res) => {
    const reservationId = req.params.reservationId.toLowerCase()
    if (!z.guid().safeParse(reservationId).success) throw noReservation()
    await consistentRead(req, res, guestReader(res), ['stays'], reservationStream(reservationId))
    const row = await findReservation(pool, reservationId)
    if (!row) throw noReservation()
    res.json(reservationView(row, row.status))
  })

  return routes
}

function foundProperties(rows: readonly FoundRow[], limit: number): FoundProperties {
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return {
    properties: page.map((row) => ({
      property_id: row.property_id,
      description: row.description,
      ...(row.capacity !== null && { capacity: row.capacity }),
      ...(row.price_minor !== null &&
        row.price_currency !== null && {
          nightly_price: { amount_minor: row.price_minor, currency: row.price_currency },
        }),
      ...(row.latitude !== null &&
        row.longitude !== null && { location: { latitude: row.latitude, longitude: row.longitude } }),
    })),
    ...(last && { next_cursor: encodeCursor([last.property_id]) }),
  }
}

/** For the metric: the one filter that was set, or that there were several. */
function filterOf({ text, guests, currency, bounds }: SearchStaysQuery): string {
  const set = Object.entries({ text, guests, price: currency, bounds }).filter(([, value]) => value !== undefined)
  return set.length > 1 ? 'several' : (set[0]?.[0] ?? 'none')
}

const noReservation = () => new Rejection('not-found', 'There is no such reservation')
