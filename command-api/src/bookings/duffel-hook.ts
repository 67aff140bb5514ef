/**
 * `POST /hooks/duffel`: the supplier says that something about an order changed. Nothing in the body is believed: a signed webhook only
 * makes the polls of that order due now. A lost one costs the poll's interval.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { parseInput } from '@portolan/infra/http/problem.ts'
import { contextOf } from '@portolan/infra/http/server.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { Router, raw } from 'express'
import type { Pool } from 'pg'
import { z } from 'zod'
import type { BookingDeps } from './booking-deps.ts'
import { hastenPoll } from './decider.ts'

const idSchema = z.string().max(200)
/** `object` is an order, or a payment or cancellation that names its order. */
const objectSchema = z.looseObject({ id: idSchema.optional(), order_id: idSchema.optional() })
const webhookSchema = z.object({
  /** Becomes the causation id of what it wakes, which is no longer. */
  id: z.string().max(100),
  type: z.string().max(200),
  data: z.looseObject({ object: objectSchema.optional() }).optional(),
})

/** Most bookings one webhook wakes; the others are polled at their time. */
const pollsMax = 50
const ageMaxSeconds = 300

/** secret: of the webhook as registered with the supplier; empty refuses every webhook. Errors: unauthorized, validation-error. */
export function createDuffelHook(deps: BookingDeps & { pool: Pool; secret: string }): Router {
  const routes = Router()
  routes.post('/hooks/duffel', raw({ type: () => true, limit: '256kb' }), async (req, res) => {
    const body: Buffer = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0)
    requireSignature(req.get('X-Duffel-Signature') ?? '', body, deps.secret, deps.store.clock.now())
    const webhook = parseInput(webhookSchema, parseJson(body))
    const { correlationId } = contextOf(res)
    for (const poll of await pollsOf(deps.pool, orderIdsOf(webhook))) {
      await deps.store.handle({
        context: {
          tenantId: poll.tenantId,
          actor: { kind: 'service', id: 'duffel' },
          correlationId,
          causationId: webhook.id,
        },
        streams: { booking: { type: deps.bookingType, stream: poll.stream } },
        decide: ({ booking }, now) => ({ events: { booking: hastenPoll(booking, now) } }),
      })
    }
    res.status(200).json({ received: true })
  })
  return routes
}

function orderIdsOf({ data }: z.infer<typeof webhookSchema>): string[] {
  return [data?.object?.id, data?.object?.order_id].flatMap((id) => id ?? [])
}

/** The open polls these ids may concern: those that name one as their order, and those whose order is not known yet. */
async function pollsOf(pool: Pool, orderIds: readonly string[]): Promise<{ tenantId: string; stream: string }[]> {
  const { rows } = await pool.query<{ tenant_id: string; stream: string; order_id: string | null }>(
    'select tenant_id, stream, order_id from open_order_polls($1)',
    [pollsMax],
  )
  return rows
    .filter((row) => row.order_id === null || orderIds.includes(row.order_id))
    .map((row) => ({ tenantId: row.tenant_id, stream: row.stream }))
}

/** `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`; compared in constant time, refused when older than five minutes. */
function requireSignature(header: string, body: Buffer, secret: string, now: string): void {
  const parts = new Map(header.split(',').map((part) => part.trim().split('=', 2) as [string, string]))
  const sentAt = Number(parts.get('t'))
  const given = Buffer.from(parts.get('v1') ?? '', 'hex')
  const signed = Buffer.concat([Buffer.from(`${parts.get('t')}.`), body])
  const expected = createHmac('sha256', secret).update(signed).digest()
  const isFresh = Math.abs(Date.parse(now) / 1000 - sentAt) <= ageMaxSeconds
  if (!secret || !isFresh || given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new Rejection('unauthorized', 'The webhook is not signed with the registered secret')
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
