/** Bookings for staff: the list over tenants, the queues, the detail. Behind the staff authentication. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { contextOf } from '@portolan/infra/http/server.ts'
import { bookingNotFound } from '@portolan/schemas/bookings/views.ts'
import { queriedInstantSchema } from '@portolan/schemas/envelope.ts'
import { opsBookingParamsSchema, opsBookingsQuerySchema, opsQueueQuerySchema } from '@portolan/schemas/ops/views.ts'
import { bookingStream } from '@portolan/schemas/topics.ts'
import { type Request, type Response, Router } from 'express'
import { z } from 'zod'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import type { StaffRead } from '../staff-reads.ts'
import type { PassengerNames } from './passenger-names.ts'
import { type BookingFilter, bookingForStaff, bookingPage } from './staff-queries.ts'
import { approvalRow, type QueuedRow, staffDetail, staffRow, troubleRow } from './staff-views.ts'

const cursorSchema = z.tuple([queriedInstantSchema, z.string(), z.string()])

/** Rejects: validation-error, booking-not-found, read-model-behind, unavailable. */
export function createStaffRoutes(deps: { staffRead: StaffRead; passengerNames: PassengerNames }): Router {
  const routes = Router()

  routes.get('/ops/bookings', async (req, res) => {
    const { cursor, ...filter } = parseInput(opsBookingsQuerySchema, req.query)
    const { rows, nextCursor } = await page(req, res, cursor, [{ ...filter, order: 'newest first' }])
    res.json({ bookings: rows.map(staffRow), nextCursor })
  })

  routes.get('/ops/approvals', async (req, res) => {
    const { cursor, ...filter } = parseInput(opsQueueQuerySchema, req.query)
    const wanted = { ...filter, status: 'pending_approval', order: 'oldest first' } as const
    const { rows, nextCursor } = await page(req, res, cursor, [wanted])
    res.json({ approvals: rows.map(approvalRow), nextCursor })
  })

  routes.get('/ops/unknown-outcomes', async (req, res) => {
    const { cursor, ...filter } = parseInput(opsQueueQuerySchema, req.query)
    const oldestFirst = { ...filter, order: 'oldest first' } as const
    const { rows, nextCursor } = await page(req, res, cursor, [
      { ...oldestFirst, status: 'outcome_unknown' },
      { ...oldestFirst, isDisputed: true },
    ])
    res.json({ outcomes: rows.map(troubleRow), nextCursor })
  })

  routes.get('/ops/tenants/:tenantId/bookings/:bookingId', async (req, res) => {
    const { tenantId, bookingId } = parseInput(opsBookingParamsSchema, req.params)
    const [found] = await deps.staffRead(req, res, {
      models: ['booking_details', 'booking_list', 'tenants'],
      stream: bookingStream(bookingId),
      queries: [bookingForStaff(tenantId, bookingId)],
    })
    const row = found?.rows[0]
    if (!row) throw bookingNotFound(bookingId)
    const names = await deps.passengerNames(tenantId, row.details, contextOf(res).correlationId)
    res.json(staffDetail(row, row.details, row.tenant_name, names))
  })

  /** One page of what any of the filters finds; they have order and limit in common, and each finds other rows. */
  async function page(
    req: Request,
    res: Response,
    cursor: string | undefined,
    filters: readonly [Omit<BookingFilter, 'after'>, ...Omit<BookingFilter, 'after'>[]],
  ): Promise<{ rows: QueuedRow[]; nextCursor: string | null }> {
    const after = decodeCursor(cursorSchema, cursor)
    const [{ limit, order }] = filters
    const queries = filters.map((filter) => bookingPage({ ...filter, after }))
    const pages = await deps.staffRead(req, res, { models: ['booking_list'], queries })
    const found: QueuedRow[] = pages.flatMap((one) => one.rows)
    if (filters.length > 1) found.sort((a, b) => (order === 'newest first' ? inOrder(b, a) : inOrder(a, b)))
    const rows = found.slice(0, limit)
    const last = rows.at(-1)
    const isMore = found.length > limit
    const nextCursor =
      last && isMore ? encodeCursor([last.created_at.toISOString(), last.tenant_id, last.booking_id]) : null
    return { rows, nextCursor }
  }
  return routes
}

/** As bookingPage orders them, up to collation; ties are rare. */
function inOrder(a: QueuedRow, b: QueuedRow): number {
  return a.created_at.getTime() - b.created_at.getTime() || (sortKey(a) < sortKey(b) ? -1 : 1)
}

const sortKey = ({ tenant_id, booking_id }: QueuedRow) => `${tenant_id} ${booking_id}`
