/** JSON Schemas of every event version, generated from the zod catalogues. One file per version; published files only ever grow. */
import { z } from 'zod'
import { eventCatalogues } from '../src/catalogue.ts'
import type { EventCatalogue } from '../src/event-catalogue.ts'

export type JsonSchema = Record<string, unknown>

export interface EventVersionSchema {
  topic: string
  type: string
  version: number
  schema: JsonSchema
}

/** Every version of every event, in the order of the catalogues. */
export function eventVersionSchemas(
  catalogues: Readonly<Record<string, EventCatalogue>> = eventCatalogues,
): EventVersionSchema[] {
  return Object.entries(catalogues).flatMap(([topic, catalogue]) =>
    Object.entries(catalogue).flatMap(([type, { versions }]) =>
      versions.map((version, index) => ({
        topic,
        type,
        version: index + 1,
        schema: { title: `${type} v${index + 1}`, ...jsonSchemaOf(version.schema) },
      })),
    ),
  )
}

/** Path of a version's file below `schemas/json` and of its golden sample below `schemas/samples`. */
export function versionFile({ topic, type, version }: Pick<EventVersionSchema, 'topic' | 'type' | 'version'>): string {
  return `${topic}/${type}.v${version}.json`
}

/**
 * A zod shape as JSON Schema 2020-12, describing what is written (unknown members stay allowed, as readers ignore them).
 * zod's regular expressions for formats and its safe-integer bounds are left out: they are its implementation, and an update
 * of zod would look like a change of every event.
 */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-2020-12',
    override: ({ jsonSchema }) => simplifyZodSchema(jsonSchema as JsonSchema),
  })
  return { $schema, ...rest }
}

/** Removes, in place, what only repeats a `format` or JavaScript's number range. */
export function simplifyZodSchema(schema: JsonSchema): void {
  if (typeof schema.format === 'string') delete schema.pattern
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
}
