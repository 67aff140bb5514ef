/**
 * Body validation as the reference services do it (FastAPI with Pydantic 2): a 422 whose `detail` is a list of
 * `{type, loc, msg, input}`, numeric strings accepted for integers, unknown members ignored.
 */
import { isRecord } from '../faults.ts'
import type { Call } from '../sandbox-server.ts'

export type FieldKinds = Readonly<Record<string, 'int' | 'str'>>
export type FieldValues<Kinds extends FieldKinds> = {
  [Name in keyof Kinds]: Kinds[Name] extends 'int' ? number : string
}

interface ValidationError {
  type: string
  loc: (string | number)[]
  msg: string
  input: unknown
  ctx?: Record<string, unknown>
}

/**
 * Reads a JSON body with the given required fields.
 *
 * Returns the values, integers as numbers, or every error in field order.
 */
export function readBody<Kinds extends FieldKinds>(
  call: Call,
  kinds: Kinds,
  fractional: 'reject' | 'truncate',
): { values: FieldValues<Kinds> } | { errors: ValidationError[] } {
  if (call.bodyError !== undefined) return { errors: [invalidJson(call.bodyError)] }
  const { body } = call
  if (body === undefined || body === null) return { errors: [missing(['body'], null)] }
  if (!isRecord(body))
    return {
      errors: [
        {
          type: 'model_attributes_type',
          loc: ['body'],
          msg: 'Input should be a valid dictionary or object to extract fields from',
          input: body,
        },
      ],
    }
  const errors: ValidationError[] = []
  const values: Record<string, number | string> = {}
  for (const [name, kind] of Object.entries(kinds)) {
    const read = name in body ? readField(body[name], kind, fractional) : missing([], body)
    if (typeof read === 'object') errors.push({ ...read, loc: ['body', name] })
    else values[name] = read
  }
  // Every field of `kinds` was either put into `values` with its kind or into `errors`.
  return errors.length > 0 ? { errors } : { values: values as FieldValues<Kinds> }
}

function readField(
  input: unknown,
  kind: 'int' | 'str',
  fractional: 'reject' | 'truncate',
): number | string | ValidationError {
  if (kind === 'str')
    return typeof input === 'string'
      ? input
      : { type: 'string_type', loc: [], msg: 'Input should be a valid string', input }
  if (typeof input === 'boolean') return Number(input)
  if (typeof input === 'number') {
    if (Number.isInteger(input)) return input
    if (fractional === 'truncate') return Math.trunc(input)
    return {
      type: 'int_from_float',
      loc: [],
      msg: 'Input should be a valid integer, got a number with a fractional part',
      input,
    }
  }
  if (typeof input !== 'string') return { type: 'int_type', loc: [], msg: 'Input should be a valid integer', input }
  if (/^\s*[+-]?\d+(\.0*)?\s*$/.test(input)) return Number(input)
  return {
    type: 'int_parsing',
    loc: [],
    msg: 'Input should be a valid integer, unable to parse string as an integer',
    input,
  }
}

function missing(loc: (string | number)[], input: unknown): ValidationError {
  return { type: 'missing', loc, msg: 'Field required', input }
}

function invalidJson(position: number): ValidationError {
  return {
    type: 'json_invalid',
    loc: ['body', position],
    msg: 'JSON decode error',
    input: {},
    ctx: { error: 'Expecting value' },
  }
}
