/** `GET /api/v1/bookings` and `/api/v1/bookings/:bookingId` for members. Behind the member authentication. */
import { memberOf } from '@portolan/infra/http/member-auth.ts'
import { parseInput } from '@portolan/infra/http/problem.ts'
import { contextOf } from '@portolan/infra/http/server.ts'
import { bookingNotFound, listBookingsQuerySchema } from '@portolan/schemas/bookings/views.ts'
import { bookingStream } from '@portolan/schemas/topics.ts'
import { Router } from 'express'
import type pg from 'pg'
import type { ConsistentRead } from '../consistent-read.ts'
import { bookingDetailBody, bookingListBody } from './member-views.ts'
import type { PassengerNames } from './passenger-names.ts'
import { findBooking, listBookings } from './read-bookings.ts'

export interface MemberRoutesDeps {
  pool: pg.Pool
  consistentRead: ConsistentRead
  passengerNames: PassengerNames
}

/** Rejects: validation-error, booking-not-found, read-model-behind, unavailable. */
export function createMemberRoutes({ pool, consistentRead, passengerNames }: MemberRoutesDeps): Router {
  const routes = Router()

  routes.get('/api/v1/bookings', async (req, res) => {
    const { tenantId, memberId, principal } = memberOf(res)
    const query = parseInput(listBookingsQuerySchema, req.query)
    await consistentRead(req, res, { rememberedTenant: tenantId, tenantId, principal }, ['booking_list'])
    const { rows, total } = await listBookings(pool, tenantId, memberId, query)
    res.json(bookingListBody(rows, total, query))
  })

  routes.get('/api/v1/bookings/:bookingId', async (req, res) => {
    const { tenantId, memberId, principal } = memberOf(res)
    const { bookingId } = req.params
    const reader = { rememberedTenant: tenantId, tenantId, principal }
    await consistentRead(req, res, reader, ['booking_details'], bookingStream(bookingId))
    const details = await findBooking(pool, tenantId, memberId, bookingId)
    if (!details) throw bookingNotFound(bookingId)
    const names = await passengerNames(tenantId, details, contextOf(res).correlationId)
    res.json(bookingDetailBody(tenantId, details, names))
  })
  return routes
}
