/** Duffel's cursor paging: `limit`, `after`, `before`; `meta.after` is null on the last page. */
import { DuffelRefusal } from './errors.ts'

/**
 * One page of a list.
 *
 * items: the whole filtered list in its final order. The cursor is the id of an item, so it survives new items.
 * Errors: DuffelRefusal for a limit outside 1–200 or a cursor that is not from here.
 */
export function pageOf<T>(items: readonly T[], query: URLSearchParams, idOf: (item: T) => string) {
  const limit = Number(query.get('limit') ?? 50)
  if (!Number.isInteger(limit) || limit < 1 || limit > 200)
    throw new DuffelRefusal('validation_inclusion', { pointer: '/limit' })
  const position = (name: string): number | undefined => {
    const cursor = query.get(name)
    if (cursor === null) return undefined
    const id = Buffer.from(cursor, 'base64url').toString('utf8')
    const index = items.findIndex((item) => idOf(item) === id)
    if (index < 0) throw new DuffelRefusal('validation_format', { pointer: `/${name}` })
    return index
  }
  const after = position('after')
  const before = position('before')
  const start = after !== undefined ? after + 1 : before !== undefined ? Math.max(0, before - limit) : 0
  const end = before !== undefined && after === undefined ? before : Math.min(items.length, start + limit)
  const cursorTo = (index: number): string | null => {
    const item = items[index]
    return item === undefined ? null : Buffer.from(idOf(item)).toString('base64url')
  }
  return {
    data: items.slice(start, end),
    meta: {
      limit,
      after: end < items.length && end > start ? cursorTo(end - 1) : null,
      before: start > 0 ? cursorTo(start) : null,
    },
  }
}
