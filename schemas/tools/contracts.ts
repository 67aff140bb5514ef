/** What generation writes, and what it refuses: the pure part of `schemas/generate.ts`. */
import { z } from 'zod'
import { eventCatalogues } from '../src/catalogue.ts'
import { type EventCatalogue, upcastEvent } from '../src/event-catalogue.ts'
import { openApiDocument } from '../src/openapi/document.ts'
import { asyncApiDocument } from './asyncapi.ts'
import { incompatibilities } from './compatibility.ts'
import { type EventVersionSchema, eventVersionSchemas, versionFile } from './event-schemas.ts'

/** Every generated file by path below `schemas/json`, as text. */
export function generatedFiles(versions: readonly EventVersionSchema[] = eventVersionSchemas()): Map<string, string> {
  return new Map([
    ...versions.map((version) => [versionFile(version), jsonText(version.schema)] as const),
    ['openapi.json', jsonText(openApiDocument())],
    ['asyncapi.json', jsonText(asyncApiDocument())],
  ])
}

/**
 * Why the event versions of the code may not replace the published ones: one sentence per problem, naming event, version and path.
 * published: text of schema files by path below `schemas/json`.
 */
export function refusals(
  published: ReadonlyMap<string, string>,
  versions: readonly EventVersionSchema[] = eventVersionSchemas(),
): string[] {
  const current = new Map(versions.map((version) => [versionFile(version), version.schema]))
  return [...published].flatMap(([path, text]) => {
    const event = eventName(path)
    const schema = current.get(path)
    if (!schema) return [`${event} was published and is gone: every published version must stay loadable.`]
    return incompatibilities(JSON.parse(text), schema).map((problem) => `${event} changed incompatibly at ${problem}.`)
  })
}

/**
 * Published golden samples that the code cannot lift to the current version any more: one sentence each. Such a sample must not be
 * edited to fit; what it stands for lies in logs.
 * published: text of samples by path below `schemas/samples`.
 */
export function unloadableSamples(
  published: ReadonlyMap<string, string>,
  catalogues: Readonly<Record<string, EventCatalogue>> = eventCatalogues,
): string[] {
  return [...published].flatMap(([path, text]) => {
    const { topic, type, version } = parsePath(path)
    try {
      upcastEvent(catalogues[topic] ?? {}, type, version, JSON.parse(text))
      return []
    } catch (error) {
      return [`The published sample of ${eventName(path)} no longer loads (${reasonOf(error)}).`]
    }
  })
}

/** `BookingConfirmed version 2 (bookings.events.v1)` */
function eventName(path: string): string {
  const { topic, type, version } = parsePath(path)
  return `${type} version ${version} (${topic})`
}

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError)
    return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  return error instanceof Error ? error.message : String(error)
}

/** The reverse of `versionFile`. */
function parsePath(path: string): { topic: string; type: string; version: number } {
  const [, topic = '', type = path, version] = /^(.*)\/(.*)\.v(\d+)\.json$/.exec(path) ?? []
  return { topic, type, version: Number(version) }
}

function jsonText(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`
}
