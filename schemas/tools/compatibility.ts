/**
 * Whether a published event version still says the same. Stored events are never rewritten and readers elsewhere rely on the
 * published shape, so a version may only grow: new optional members, new enum values and alternatives, wider bounds.
 * Everything else needs a new version with an upcaster. Keywords this file does not know must stay equal: refusing too much costs
 * a look, allowing too much costs a log that no longer loads.
 */
import { isDeepStrictEqual } from 'node:util'
import type { JsonSchema } from '../src/json-schema.ts'

const annotations = new Set([
  '$schema',
  '$id',
  'id',
  'title',
  'description',
  'default',
  'example',
  'examples',
  'deprecated',
])
const lowerBounds = new Set(['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'])
const upperBounds = new Set(['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'])
/** Narrower when added or changed, wider when dropped. */
const constraints = new Set(['format', 'pattern', 'multipleOf', 'uniqueItems'])
const structural = new Set([
  'type',
  'properties',
  'required',
  'items',
  'additionalProperties',
  'propertyNames',
  'enum',
  'const',
  'anyOf',
  'oneOf',
])

/**
 * What the current schema breaks of the published one, as clauses `<path>: <what>`; empty when compatible.
 * Paths are written like `offer.outbound.segments[]`; the whole is `data`.
 */
export function incompatibilities(published: JsonSchema, current: JsonSchema, path = 'data'): string[] {
  const [before, after] = [typeOf(published), typeOf(current)]
  // One sentence; everything below it differs as well and would only hide it.
  if (before !== after) return [`${path}: the type was changed from ${before} to ${after}`]
  return [
    ...memberProblems(published, current, path),
    ...valueProblems(published, current, path),
    ...alternativeProblems(published, current, path),
    ...keywordProblems(published, current, path),
  ]
}

/** Object members, array items and the values of records. */
function memberProblems(published: JsonSchema, current: JsonSchema, path: string): string[] {
  const before = record(published.properties)
  const after = record(current.properties)
  const neededBefore = names(published.required)
  const neededAfter = names(current.required)
  const problems: string[] = []
  for (const [name, schema] of Object.entries(before)) {
    const here = path === 'data' ? name : `${path}.${name}`
    const now = after[name]
    if (now === undefined) problems.push(`${here}: the field was removed`)
    else problems.push(...incompatibilities(schema, now, here))
    if (now !== undefined && neededBefore.has(name) && !neededAfter.has(name))
      problems.push(`${here}: the field was required and is now optional`)
    if (now !== undefined && !neededBefore.has(name) && neededAfter.has(name))
      problems.push(`${here}: the field was optional and is now required`)
  }
  for (const name of neededAfter)
    if (before[name] === undefined)
      problems.push(`${path === 'data' ? name : `${path}.${name}`}: a required field was added`)
  return [
    ...problems,
    ...nestedProblems(published, current, 'items', `${path}[]`),
    ...nestedProblems(published, current, 'additionalProperties', `${path}.*`),
    ...nestedProblems(published, current, 'propertyNames', `${path} (names)`),
  ]
}

/** A keyword whose value is a schema: absent or `true` allows everything, `false` nothing. */
function nestedProblems(published: JsonSchema, current: JsonSchema, keyword: string, path: string): string[] {
  const before = published[keyword] ?? true
  const after = current[keyword] ?? true
  if (after === true || isDeepStrictEqual(before, after)) return []
  if (isSchema(before) && isSchema(after)) return incompatibilities(before, after, path)
  if (isSchema(after) && Object.keys(after).length === 0) return []
  return [`${path}: what is allowed here was narrowed`]
}

/** `enum` and `const`: values may be added, never removed, and no list may appear where any value was allowed. */
function valueProblems(published: JsonSchema, current: JsonSchema, path: string): string[] {
  const before = allowedValues(published)
  const after = allowedValues(current)
  if (!after) return []
  if (!before) return [`${path}: any value was allowed, now only ${after.map((v) => JSON.stringify(v)).join(', ')}`]
  const lost = before.filter((value) => !after.some((other) => isDeepStrictEqual(value, other)))
  return lost.map((value) => `${path}: the value ${JSON.stringify(value)} was removed`)
}

/** Each published alternative needs a current one that accepts it; further alternatives may be added. */
function alternativeProblems(published: JsonSchema, current: JsonSchema, path: string): string[] {
  const after = alternatives(current)
  return alternatives(published).flatMap((alternative, index) => {
    if (after.some((other) => incompatibilities(alternative, other, path).length === 0)) return []
    const counterpart = after[index]
    return counterpart ? incompatibilities(alternative, counterpart, path) : [`${path}: an alternative was removed`]
  })
}

/** Types, bounds, formats and everything unknown. */
function keywordProblems(published: JsonSchema, current: JsonSchema, path: string): string[] {
  const keywords = new Set([...Object.keys(published), ...Object.keys(current)])
  return [...keywords].flatMap((keyword) => {
    if (annotations.has(keyword) || structural.has(keyword)) return []
    const before = published[keyword]
    const after = current[keyword]
    if (isDeepStrictEqual(before, after)) return []
    const change = `from ${JSON.stringify(before) ?? 'none'} to ${JSON.stringify(after) ?? 'none'}`
    if (lowerBounds.has(keyword) || upperBounds.has(keyword)) {
      const isNarrower =
        after !== undefined &&
        (before === undefined ||
          (lowerBounds.has(keyword) ? Number(after) > Number(before) : Number(after) < Number(before)))
      return isNarrower ? [`${path}: ${keyword} was narrowed ${change}`] : []
    }
    if (constraints.has(keyword)) return after === undefined ? [] : [`${path}: ${keyword} was changed ${change}`]
    return [`${path}: ${keyword} was changed ${change}`]
  })
}

/** `object`, `null | string`, `alternatives`, `anything`: what a value fundamentally is. */
function typeOf(schema: JsonSchema): string {
  if (alternatives(schema).length > 0) return 'alternatives'
  return schema.type === undefined ? 'anything' : [schema.type].flat().map(String).sort().join(' | ')
}

function alternatives(schema: JsonSchema): JsonSchema[] {
  const list = schema.anyOf ?? schema.oneOf
  return Array.isArray(list) ? list.filter(isSchema) : []
}

function allowedValues(schema: JsonSchema): unknown[] | undefined {
  if (Array.isArray(schema.enum)) return schema.enum
  return Object.hasOwn(schema, 'const') ? [schema.const] : undefined
}

function record(value: unknown): Record<string, JsonSchema> {
  return isSchema(value) ? (value as Record<string, JsonSchema>) : {}
}

function names(value: unknown): Set<string> {
  return new Set(Array.isArray(value) ? value.map(String) : [])
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
