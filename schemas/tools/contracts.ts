/** What generation writes, and what it refuses: the pure part of `schemas/generate.ts`. */
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

/** `BookingConfirmed version 2 (bookings.events.v1)` */
function eventName(path: string): string {
  const [, topic, type, version] = /^(.*)\/(.*)\.v(\d+)\.json$/.exec(path) ?? []
  return `${type} version ${version} (${topic})`
}

function jsonText(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`
}
