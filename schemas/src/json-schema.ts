/** zod shapes as JSON Schema 2020-12, the way every generated document shows them. */
import { z } from 'zod'

export type JsonSchema = Record<string, unknown>

const standardFormats = new Set(['date', 'date-time', 'uuid', 'uri', 'email'])

/** A shape as JSON Schema, describing what is written (unknown members stay allowed, as readers ignore them). */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-2020-12',
    override: ({ jsonSchema }) => simplifyJsonSchema(jsonSchema as JsonSchema),
  })
}

/**
 * Removes, in place, what is zod's implementation and not our contract: the regular expression beside a standard format, names of
 * formats that only zod knows, and JavaScript's number range. Otherwise an update of zod would look like a change of every event.
 */
export function simplifyJsonSchema(schema: JsonSchema): void {
  if (typeof schema.format === 'string') {
    if (standardFormats.has(schema.format)) delete schema.pattern
    else delete schema.format
  }
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
}
