/**
 * Loads properties and reservations that exist elsewhere, each row decided by itself: what is wrong with one refuses that one, and what is
 * there already stays as it is. What was loaded before a fault stays loaded; the same rows again load the rest.
 */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { type ProblemCode, Rejection } from '@portolan/schemas/errors.ts'
import {
  type LoadAnswer,
  loadedPropertySchema,
  loadedReservationSchema,
  type loadRequestSchema,
} from '@portolan/schemas/stays/loading.ts'
import { propertyIdSchema } from '@portolan/schemas/stays/messages.ts'
import { asked, type IntervalRule, occupied, type Period } from '@portolan/schemas/stays/periods.ts'
import { propertyStream, reservationStream } from '@portolan/schemas/topics.ts'
import type { z } from 'zod'
import type { EventStore } from '../event-store/event-store.ts'
import type { CommandContext } from '../event-store/handle-command.ts'
import type { IdempotencyScope } from '../event-store/idempotency.ts'
import { loadProperty, loadStay } from './decider.ts'
import { propertyType } from './property.ts'
import { reservationType } from './reservation.ts'
import { whenFree } from './routes.ts'

export interface LoadDeps {
  store: Pick<EventStore, 'handle'>
  rule: IntervalRule
  /** A UUIDv7. */
  newId: () => string
}

type Outcome =
  | { kind: 'loaded' | 'present'; id: string }
  /** Its place in its list is known to whoever gave it. */
  | { kind: 'refused'; code: ProblemCode; reason: string }
type Reservation = z.infer<typeof loadedReservationSchema>

/** Rows that are decided at once: two groups of the appender, so that a guest waits behind these and not behind all. */
const AT_ONCE = 120

/** Only these are about a row; anything else is about all of them. */
const rowCodes: readonly ProblemCode[] = ['validation-error', 'unknown-property', 'not-available', 'conflict']

/**
 * Loads properties, then reservations. scopeOf: of a reservation's place, where its request has a key; the answer to its repetition is the same
 * id. Rejects: idempotency-mismatch; unavailable while the write database is away, or kept by another rule.
 */
export async function loadRows(
  deps: LoadDeps,
  context: CommandContext,
  { asIs, ...rows }: z.output<typeof loadRequestSchema>,
  scopeOf: (row: number) => IdempotencyScope | undefined = () => undefined,
): Promise<LoadAnswer> {
  const properties = await eachOf(rows.properties, (row) => outcomeOf(() => loadOneProperty(deps, context, row)))
  const parsed = rows.reservations.map((row) => outcomeOf(async () => parseReservation(row)))
  const reservations: (Outcome | Reservation)[] = await Promise.all(parsed)
  for (const wave of waves(reservations, deps.rule)) {
    await eachOf(wave, async ({ nth, row }) => {
      reservations[nth] = await outcomeOf(() => loadOneReservation(deps, context, { asIs, ...row }, scopeOf(nth)))
    })
  }
  return answerOf(properties, reservations as Outcome[])
}

async function eachOf<R, T>(rows: readonly R[], work: (row: R) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let from = 0; from < rows.length; from += AT_ONCE)
    results.push(...(await Promise.all(rows.slice(from, from + AT_ONCE).map(work))))
  return results
}

async function loadOneProperty({ store }: LoadDeps, context: CommandContext, row: unknown): Promise<Outcome> {
  const { propertyId, ...facts } = parseInput(loadedPropertySchema, row)
  const handled = await whenFree(() =>
    store.handle({
      context,
      streams: { property: { type: propertyType, stream: propertyStream(propertyId), isNew: true } },
      decide: ({ property }, now) => {
        const { events, effects } = loadProperty(property, propertyId, facts, now)
        return { events: { property: events }, effects }
      },
    }),
  )
  return { kind: handled.replayed || handled.appended.length > 0 ? 'loaded' : 'present', id: propertyId }
}

function parseReservation(row: unknown): Reservation {
  const reservation = parseInput(loadedReservationSchema, row)
  const { propertyId } = reservation
  if (!propertyIdSchema.safeParse(propertyId).success)
    throw new Rejection('unknown-property', `There is no property with the id '${propertyId.slice(0, 64)}'`)
  return reservation
}

async function loadOneReservation(
  { store, rule, newId }: LoadDeps,
  context: CommandContext,
  row: Reservation & { asIs: boolean },
  scope: IdempotencyScope | undefined,
): Promise<Outcome> {
  const reservationId = row.reservationId ?? newId()
  // A row that names its id is the same row wherever it comes again; only one that does not needs its request's key.
  const idempotency = !row.reservationId && scope ? { ...scope, reference: reservationId } : undefined
  const handled = await whenFree(() =>
    store.handle({
      context,
      streams: { stay: { type: reservationType, stream: reservationStream(reservationId), isNew: true } },
      decide: ({ stay }, now) => {
        const { events, effects } = loadStay(stay, { ...row, reservationId }, rule, now)
        return { events: { stay: events }, effects }
      },
      idempotency,
    }),
  )
  if (handled.replayed) return { kind: 'loaded', id: handled.reference ?? reservationId }
  return { kind: handled.appended.length > 0 ? 'loaded' : 'present', id: reservationId }
}

/**
 * Rows that are in each other's way are decided one after the other, in the order given: the first one stands, and under `literal` the order
 * says whether both may. All others at once.
 */
export function waves(
  rows: readonly (Outcome | Reservation)[],
  rule: IntervalRule,
): { nth: number; row: Reservation }[][] {
  const result: { nth: number; row: Reservation }[][] = []
  const before = new Map<string, { row: Reservation; wave: number }[]>()
  for (const [nth, row] of rows.entries()) {
    if ('kind' in row) continue
    const others = before.get(row.propertyId) ?? []
    const wave = others.reduce(
      (last, other) => (touch(rule, other.row, row) ? Math.max(last, other.wave + 1) : last),
      0,
    )
    before.set(row.propertyId, [...others, { row, wave }])
    result[wave] = [...(result[wave] ?? []), { nth, row }]
  }
  return result
}

function touch(rule: IntervalRule, one: Period, other: Period): boolean {
  const meets = (a: Period, b: Period) => {
    const [wanted, taken] = [asked(rule, a), occupied(rule, b)]
    return wanted.from < taken.until && taken.from < wanted.until
  }
  return meets(one, other) || meets(other, one)
}

async function outcomeOf<T>(work: () => Promise<T>): Promise<T | Extract<Outcome, { kind: 'refused' }>> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Rejection && rowCodes.includes(error.code))) throw error
    return { kind: 'refused', code: error.code, reason: error.detail }
  }
}

function answerOf(properties: readonly Outcome[], reservations: readonly Outcome[]): LoadAnswer {
  const all = [...properties, ...reservations]
  const refusedOf = (list: 'properties' | 'reservations', rows: readonly Outcome[]) =>
    rows.flatMap((row, nth) => (row.kind === 'refused' ? [{ list, row: nth, code: row.code, reason: row.reason }] : []))
  return {
    loaded: all.filter(({ kind }) => kind === 'loaded').length,
    present: all.filter(({ kind }) => kind === 'present').length,
    refused: [...refusedOf('properties', properties), ...refusedOf('reservations', reservations)],
    reservationIds: reservations.map((row) => (row.kind === 'refused' ? null : row.id)),
  }
}
