/**
 * Opening sealed personal data for processes that hold no keys: in batches at command-api, kept in memory until somebody is
 * forgotten, at most for a minute; so a forget reaches every process at once, or without Redis within the minute.
 */
import { z } from 'zod'
import { type ServiceClient, throwAsFault } from './client.ts'

const KEPT_MS = 60_000
const ENTRIES_MAX = 5000
const BATCH_MAX = 100

export const unsealRequestSchema = z.object({
  tenantId: z.string().min(1).max(50),
  items: z
    .array(z.object({ personId: z.string().min(1).max(200), sealed: z.string().max(20_000) }))
    .min(1)
    .max(BATCH_MAX),
})

export const unsealAnswerSchema = z.object({
  items: z.array(z.union([z.object({ gone: z.literal(true) }), z.object({ value: z.unknown() })])),
})

export interface SealedField {
  personId: string
  sealed: string
}

/** gone: the person was forgotten. */
export type UnsealedField = { gone: true } | { gone: false; value: unknown }

/**
 * Opens fields of one tenant, in order; any number, asked for in batches of 100.
 * Throws a ServiceFault when command-api cannot be asked or cannot open one: the detail that needs it is then unavailable.
 */
export type Unseal = (
  tenantId: string,
  fields: readonly SealedField[],
  correlationId: string,
) => Promise<UnsealedField[]>

/** Creates the opener with its cache of at most 5,000 values. onForget: calls what it is given whenever a person was forgotten. */
export function createUnseal(deps: {
  client: ServiceClient
  onForget: (drop: () => void) => void
  now?: () => number
}): Unseal {
  const now = deps.now ?? performance.now.bind(performance)
  const kept = new Map<string, { field: UnsealedField; askedAt: number }>()
  let droppedAt = Number.NEGATIVE_INFINITY
  deps.onForget(() => {
    kept.clear()
    droppedAt = now()
  })
  /** Taken out first: a key that is set again would keep its old place, and hide the older ones behind it. */
  function keep(key: string, entry: { field: UnsealedField; askedAt: number }): void {
    kept.delete(key)
    kept.set(key, entry)
  }
  const keyOf = (tenantId: string, { personId, sealed }: SealedField) => JSON.stringify([tenantId, personId, sealed])

  async function ask(
    tenantId: string,
    fields: readonly SealedField[],
    correlationId: string,
  ): Promise<UnsealedField[]> {
    const askedAt = now()
    const question = deps.client.post('/internal/unseal', { tenantId, items: fields }, { correlationId })
    const { items } = unsealAnswerSchema.parse(await question.catch(throwAsFault))
    if (items.length !== fields.length) throw new Error('command-api answered with another number of values')
    return items.map((item, index) => {
      const field: UnsealedField = 'gone' in item ? { gone: true } : { gone: false, value: item.value }
      // An answer that was under way while somebody was forgotten may be from before.
      if (askedAt > droppedAt) keep(keyOf(tenantId, fields[index] as SealedField), { field, askedAt })
      return field
    })
  }

  return async (tenantId, fields, correlationId) => {
    const answer = new Map<SealedField, UnsealedField>()
    for (const field of fields) {
      const entry = kept.get(keyOf(tenantId, field))
      if (entry && now() - entry.askedAt < KEPT_MS) answer.set(field, entry.field)
    }
    const missing = fields.filter((field) => !answer.has(field))
    for (let from = 0; from < missing.length; from += BATCH_MAX) {
      const batch = missing.slice(from, from + BATCH_MAX)
      const opened = await ask(tenantId, batch, correlationId)
      for (const [index, field] of opened.entries()) answer.set(batch[index] as SealedField, field)
    }
    // The order of age, but for answers that overtook each other; what is too old or too much goes first.
    for (const [key, { askedAt }] of kept) {
      if (kept.size <= ENTRIES_MAX && now() - askedAt < KEPT_MS) break
      kept.delete(key)
    }
    return fields.map((field) => answer.get(field) as UnsealedField)
  }
}
