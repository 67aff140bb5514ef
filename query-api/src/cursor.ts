/** Opaque cursors of keyset-paged lists: the sort key of a page's last row. */
import { Rejection } from '@portolan/schemas/errors.ts'
import type { z } from 'zod'

/** The cursor that continues behind a row with this sort key. */
export function encodeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/** The sort key within a cursor, checked against `schema` (a tuple). Null without a cursor. Rejects: validation-error. */
export function decodeCursor<S extends z.ZodType>(schema: S, cursor: string | undefined): z.output<S> | null {
  if (cursor === undefined) return null
  const parsed = schema.safeParse(parseJson(cursor))
  if (parsed.success) return parsed.data
  const errors = [{ field: 'cursor', message: 'Must be the nextCursor of a page' }]
  throw new Rejection('validation-error', 'cursor must be the nextCursor of a page', { errors })
}

function parseJson(cursor: string): unknown {
  try {
    const text = Buffer.from(cursor, 'base64url').toString('utf8')
    return text.includes('\\u0000') ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
