/**
 * `stays`: properties, their reservations, and the index that searches read (migration 000022). Rows are folds of one stream each; the index is
 * worked out from the rows, since whose event comes first is not certain between a property and its reservations, or between two of those.
 */
import type { ProjectedEvent, Projection } from '@portolan/infra/consumer/projection.ts'
import type { StayEvent } from '@portolan/schemas/stays/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { foldStreams } from '../fold-streams.ts'
import { indexStays } from './index-stays.ts'
import { evolveProperty, loadProperties, type PropertyRow, saveProperties } from './properties.ts'
import { evolveReservation, loadReservations, type ReservationRow, saveReservations } from './reservations.ts'

const propertyEvents = ['PropertyRegistered', 'PropertyDescribed', 'PropertyRetired'] as const
const reservationEvents = ['StayReserved', 'StayDatesChanged', 'StayCancelled'] as const
export type PropertyEvent = Extract<StayEvent, { type: (typeof propertyEvents)[number] }>
export type ReservationEvent = Extract<StayEvent, { type: (typeof reservationEvents)[number] }>

export const stays: Projection = {
  name: 'stays',
  version: 1,
  handles: { [topics.stays]: [...propertyEvents, ...reservationEvents] },
  async apply(events, tx) {
    const properties = await fold<PropertyRow>(events, propertyEvents, {
      load: (streams) => loadProperties(tx, streams),
      // The consumer lifted the data to the catalogue's current version and checked it there.
      evolve: (row, event) => evolveProperty(row, event as ProjectedEvent & PropertyEvent),
      save: (rows) => saveProperties(tx, rows),
    })
    const reservations = await fold<ReservationRow>(events, reservationEvents, {
      load: (streams) => loadReservations(tx, streams),
      evolve: (row, event) => evolveReservation(row, event as ProjectedEvent & ReservationEvent),
      save: (rows) => saveReservations(tx, rows),
    })
    await indexStays(tx, properties, reservations)
  },
}

/** The rows that the events of these types changed. */
async function fold<Row extends PropertyRow | ReservationRow>(
  events: readonly ProjectedEvent[],
  types: readonly string[],
  { load, evolve, save }: Parameters<typeof foldStreams<Row>>[1],
): Promise<readonly Row[]> {
  let changed: readonly Row[] = []
  const own = events.filter(({ type }) => types.includes(type))
  const keep = async (rows: readonly Row[]) => {
    changed = rows
    await save(rows)
  }
  if (own.length > 0) await foldStreams<Row>(own, { load, evolve, save: keep })
  return changed
}
