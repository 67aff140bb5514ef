/**
 * `POST /api/v1/reservations` and what its guest may do with a reservation afterwards: `/{id}/cancel`, `/{id}/dates`. Decided within the request:
 * once the events are committed the nights are the guest's.
 */
import { isTransient } from '@portolan/infra/consumer/transient.ts'
import { parseInput } from '@portolan/infra/http/problem.ts'
import { reach } from '@portolan/infra/kill-points.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { propertyIdSchema } from '@portolan/schemas/stays/messages.ts'
import type { IntervalRule } from '@portolan/schemas/stays/periods.ts'
import {
  changeDatesRequestSchema,
  periodOf,
  reservationView,
  reserveRequestSchema,
  STAYS_TENANT,
} from '@portolan/schemas/stays/views.ts'
import { reservationStream } from '@portolan/schemas/topics.ts'
import { type Request, type RequestHandler, type Response, Router } from 'express'
import type { EventStore } from '../event-store/event-store.ts'
import type { IdempotencyScope } from '../event-store/idempotency.ts'
import type { Positions } from '../event-store/read.ts'
import { idempotencyScope } from '../http-preferences.ts'
import type { NoteWritten } from '../note-written.ts'
import { type CountCommand, counted } from './count-commands.ts'
import { cancelStay, changeStayDates, reserveStay, type StayDecision } from './decider.ts'
import { type GuestRequest, guestGuard, guestRequest } from './guest-request.ts'
import { type Reservation, type ReservationState, reservationType } from './reservation.ts'

export interface StayDeps {
  store: Pick<EventStore, 'handle' | 'singleFlight' | 'load'>
  noteWritten: NoteWritten
  rule: IntervalRule
  /** A UUIDv7. */
  newId: () => string
  countCommand: CountCommand
}

/** How long a request waits for another one with its key, or for rows that others hold. */
const BUSY_FOR_MS = 10_000
const RETRY_AFTER_S = 1

/**
 * Rejects: unauthorized; validation-error; unknown-property, not-available; not-found, conflict; idempotency-mismatch, idempotency-busy;
 * unavailable while the write database is away.
 */
export function createReservationRoutes(deps: StayDeps): Router {
  const routes = Router()
  // Whatever the answer: a refusal, too, follows from the rule.
  const guests: RequestHandler[] = [
    (_req, res, next) => {
      res.set('X-Interval-Rule', deps.rule)
      next()
    },
    ...guestGuard,
  ]

  routes.post(
    '/api/v1/reservations',
    ...guests,
    counted(deps, 'reserve', async (req, res) => {
      const guest = guestRequest(res)
      const { property_id: propertyId, ...requested } = parseInput(reserveRequestSchema, guest.parameters)
      if (!propertyIdSchema.safeParse(propertyId).success) throw unknownProperty(propertyId)
      const period = periodOf(requested)
      const reservationId = deps.newId()
      const scope = scopeOf(req, guest, { propertyId, ...period }, reservationId)
      const stream = reservationStream(reservationId)
      const made = await whenFree(() =>
        deps.store.singleFlight(
          STAYS_TENANT,
          scope,
          async () => {
            const handled = await deps.store.handle({
              context: guest.context,
              streams: { stay: { type: reservationType, stream, isNew: true } },
              decide: (_, now) =>
                forStream(reserveStay({ reservationId, propertyId, ...period, holder: guest.holder }, deps.rule, now)),
              idempotency: scope,
            })
            return handled.replayed
              ? loadedOf(deps, handled.reference ?? reservationId)
              : { id: reservationId, positions: handled.positions }
          },
          { joinMaxMs: BUSY_FOR_MS },
        ),
      )
      await noteWritten(deps, res, guest, made)
      reach('before-answer')
      res.json(reservationView({ reservationId: made.id, propertyId, ...period }, 'reserved'))
    }),
  )

  routes.post(
    '/api/v1/reservations/:reservationId/cancel',
    ...guests,
    counted(deps, 'cancel', async (req, res) => {
      const guest = guestRequest(res)
      const state = await changed(deps, req, res, {}, (stay, now) => cancelStay(stay, guest.holder, deps.rule, now))
      res.json(reservationView(state, 'cancelled'))
    }),
  )

  routes.post(
    '/api/v1/reservations/:reservationId/dates',
    ...guests,
    counted(deps, 'dates', async (req, res) => {
      const { holder, parameters } = guestRequest(res)
      const period = periodOf(parseInput(changeDatesRequestSchema, parameters))
      const state = await changed(deps, req, res, period, (stay, now) =>
        changeStayDates(stay, { holder, ...period }, deps.rule, now),
      )
      // As the first answer was, when this is a retry: the reservation may have been changed again or cancelled since.
      res.json(reservationView({ ...state, ...period }, 'reserved'))
    }),
  )

  return routes
}

/** Decides about a reservation that exists. Rejects: not-found for what is no id of ours. */
async function changed(
  deps: StayDeps,
  req: Request,
  res: Response,
  body: object,
  decide: (stay: ReservationState, now: string) => StayDecision,
): Promise<Reservation> {
  const guest = guestRequest(res)
  const reservationId = String(req.params.reservationId).toLowerCase()
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(reservationId)) throw noReservation()
  const scope = scopeOf(req, guest, body, reservationId)
  const { state, positions } = await whenFree(async () => {
    const handled = await deps.store.handle({
      context: guest.context,
      streams: { stay: { type: reservationType, stream: reservationStream(reservationId) } },
      decide: ({ stay }, now) => forStream(decide(stay, now)),
      idempotency: scope,
    })
    return handled.replayed
      ? loadedOf(deps, reservationId)
      : { state: handled.states.stay, positions: handled.positions }
  })
  await noteWritten(deps, res, guest, { id: reservationId, positions })
  if (!state) throw noReservation()
  reach('before-answer')
  return state
}

/** What a retry's answer reflects: whoever sends it may never have heard the first one. */
async function loadedOf({ store }: StayDeps, id: string) {
  const { state, positions } = await store.load(STAYS_TENANT, reservationType, reservationStream(id))
  return { id, state, positions }
}

function scopeOf(req: Request, guest: GuestRequest, body: object, reference: string): IdempotencyScope | undefined {
  // The body is what was understood: the same request may come as a form, and its token may stand anywhere.
  return idempotencyScope(req, guest.principal, reference, body)
}

/** Tried again while others hold the key or the rows. Rejects: unavailable when they do so for too long, or the database is away. */
export async function whenFree<T>(work: () => Promise<T>): Promise<T> {
  const endsAt = performance.now() + BUSY_FOR_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      const isHeld = error instanceof Rejection && error.code === 'version-conflict'
      const isBusy = error instanceof Rejection && error.code === 'idempotency-busy'
      const isOver = performance.now() > endsAt
      if (isTransient(error) || (isHeld && isOver))
        throw new Rejection('unavailable', 'Try again in a moment', { retry_after: RETRY_AFTER_S })
      if (!(isHeld || isBusy) || isOver) throw error
    }
  }
}

const noteWritten = (
  deps: StayDeps,
  res: Response,
  { principal }: GuestRequest,
  { id, positions }: { id: string; positions: Positions },
) => deps.noteWritten(res, { tenantId: STAYS_TENANT, principal }, positions, [reservationStream(id)])

const forStream = ({ events, effects }: StayDecision) => ({ events: { stay: events }, effects })
const unknownProperty = (id: string) =>
  new Rejection('unknown-property', `There is no property with the id '${id.slice(0, 64)}'`)
const noReservation = () => new Rejection('not-found', 'There is no such reservation')
