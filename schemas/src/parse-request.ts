/** Validation of what clients send, with one manner of naming fields and wording messages for every route. */
import type { z } from 'zod'
import { Rejection } from './errors.ts'

/** One entry of a problem's `errors`: `field` as `passengers[0].first_name`, `body` for the whole; `message` as a clause "Must …". */
export interface FieldError {
  field: string
  message: string
}

/** A hostile body can be wrong in a hundred thousand places; nobody reads them all. */
const errorsMax = 20

/**
 * `input` parsed by `schema`. Rejects with `validation-error`: detail from the first field, at most 20 fields in `errors`.
 * Values themselves never appear in messages: they may be personal data.
 */
export function parseRequest<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input, { error: wording })
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.slice(0, errorsMax)
  throw invalid(issues.map((issue) => ({ field: fieldName(issue.path), message: issue.message })))
}

/** A `validation-error` with these field errors (at least one); for rules that no schema can know. */
export function invalid(errors: readonly FieldError[]): Rejection {
  const [first] = errors
  const detail = first ? `${first.field} ${first.message.charAt(0).toLowerCase()}${first.message.slice(1)}` : 'Invalid'
  return new Rejection('validation-error', detail, { errors })
}

function fieldName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'body'
  return path.map((key, depth) => (typeof key === 'number' ? `[${key}]` : `${depth ? '.' : ''}${String(key)}`)).join('')
}

/** zod's own messages name its internals ("Invalid input: expected string, received undefined"); ours finish "<field> …". */
const wording: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'Is required' : `Must be ${typeNames[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `Must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`
    case 'invalid_format':
      return `Must be a valid ${issue.format}`
    case 'too_small':
      if (sizeVerb(issue.origin) === 'have' && issue.minimum === 1) return 'Must not be empty'
      if (issue.inclusive === false) return `Must be more than ${issue.minimum}`
      return `Must ${sizeVerb(issue.origin)} at least ${issue.minimum}${sizeUnit(issue.origin)}`
    case 'too_big':
      if (issue.inclusive === false) return `Must be less than ${issue.maximum}`
      return `Must ${sizeVerb(issue.origin)} at most ${issue.maximum}${sizeUnit(issue.origin)}`
    case 'unrecognized_keys':
      return `Must not contain ${issue.keys.map((key) => `"${key}"`).join(', ')}`
    default:
      return 'Is invalid'
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  object: 'an object',
  array: 'an array',
}

function sizeVerb(origin: string): string {
  return origin === 'string' || origin === 'array' ? 'have' : 'be'
}

function sizeUnit(origin: string): string {
  if (origin === 'string') return ' characters'
  return origin === 'array' ? ' entries' : ''
}
