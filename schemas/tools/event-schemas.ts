/** JSON Schemas of every event version, generated from the zod catalogues. One file per version; published files only ever grow. */
import { eventCatalogues } from '../src/catalogue.ts'
import type { EventCatalogue } from '../src/event-catalogue.ts'
import { type JsonSchema, jsonSchemaOf } from '../src/json-schema.ts'

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
