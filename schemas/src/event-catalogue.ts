/**
 * How a vertical declares its events. Every version ever published stays in the list for ever:
 * `versions[0]` is version 1, the last one is current, and each earlier one has an upcaster to its successor (P14).
 */
import type { z } from 'zod'

export interface EventVersion {
  schema: z.ZodType
  /** Turns data of this version into data of the next one. Pure. Absent on the current version only. */
  upcast?: (data: never) => unknown
}

export interface EventDefinition {
  versions: readonly EventVersion[]
}

export type EventCatalogue = Readonly<Record<string, EventDefinition>>

/** Declares an event that has had one version so far. */
export function event<S extends z.ZodType>(schema: S) {
  return { versions: [{ schema }] as const, current: schema }
}

/** Declares an event whose version 1 was superseded by version 2. `upcast` turns version-1 data into version-2 data. */
export function eventV2<S1 extends z.ZodType, S2 extends z.ZodType>(
  v1: S1,
  v2: S2,
  upcast: (data: z.infer<S1>) => z.infer<S2>,
) {
  return { versions: [{ schema: v1, upcast }, { schema: v2 }] as const, current: v2 }
}

/** The union `{ type, data }` of a catalogue's events in their current versions. */
export type EventOf<C extends Record<string, { current: z.ZodType }>> = {
  [T in keyof C & string]: { type: T; data: z.infer<C[T]['current']> }
}[keyof C & string]

/** The current schema version of an event type: its number of versions. Throws for a type the catalogue does not know. */
export function currentVersion(catalogue: EventCatalogue, type: string): number {
  return definitionOf(catalogue, type).versions.length
}

/**
 * Checks `data` against the current version of `type` and returns it parsed.
 * Throws a ZodError when it does not fit: appending an invalid event is a programmer error.
 */
export function validateEvent(catalogue: EventCatalogue, type: string, data: unknown): unknown {
  return definitionOf(catalogue, type).versions.at(-1)?.schema.parse(data)
}

/**
 * Reads stored data of `schemaVersion` and lifts it to the current version.
 * Throws for an unknown type or a version from the future; such an event is poison to its reader.
 */
export function upcastEvent(catalogue: EventCatalogue, type: string, schemaVersion: number, data: unknown): unknown {
  const { versions } = definitionOf(catalogue, type)
  const stored = versions[schemaVersion - 1]
  if (!stored) throw new Error(`event ${type} has no version ${schemaVersion}; this reader knows ${versions.length}`)
  let lifted: unknown = stored.schema.parse(data)
  for (const version of versions.slice(schemaVersion - 1, -1)) {
    if (!version.upcast) throw new Error(`event ${type} lacks an upcaster`)
    lifted = version.upcast(lifted as never)
  }
  return lifted
}

function definitionOf(catalogue: EventCatalogue, type: string): EventDefinition {
  const definition = Object.hasOwn(catalogue, type) ? catalogue[type] : undefined
  if (!definition) throw new Error(`event type ${type} is in no catalogue`)
  return definition
}
