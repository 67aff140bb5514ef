/**
 * How a failed validation is worded for clients. zod's own messages name its internals ("Invalid input: expected string, received
 * undefined"); these finish a sentence that begins with the field. Values never appear: they may be personal data.
 */
import type { z } from 'zod'

/** An error map for `schema.safeParse(value, { error: validationWording })`; messages given in a schema win over it. */
export const validationWording: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'Is required' : `Must be ${typeNames[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `Must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`
    case 'invalid_format':
      return `Must be a valid ${issue.format}`
    case 'too_small':
      if (isCounted(issue.origin) && issue.minimum === 1) return 'Must not be empty'
      if (issue.inclusive === false) return `Must be more than ${issue.minimum}`
      return `Must ${isCounted(issue.origin) ? 'have' : 'be'} at least ${issue.minimum}${unitOf(issue.origin)}`
    case 'too_big':
      if (issue.inclusive === false) return `Must be less than ${issue.maximum}`
      return `Must ${isCounted(issue.origin) ? 'have' : 'be'} at most ${issue.maximum}${unitOf(issue.origin)}`
    case 'unrecognized_keys':
      return `Must not contain ${issue.keys.map((key) => `"${key.slice(0, 50)}"`).join(', ')}`.slice(0, 500)
    default:
      return 'Is not valid'
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
}

function isCounted(origin: string): boolean {
  return origin === 'string' || origin === 'array'
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters'
  return origin === 'array' ? ' entries' : ''
}
