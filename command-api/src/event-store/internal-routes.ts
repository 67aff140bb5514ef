/**
 * `/internal/steps/*`, `/internal/parked/*`, `/internal/clock`: what worker-side consumers, which own no database, keep and ask here.
 * Behind the service token.
 */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { type databaseClockSchema, overdueStepsSchema } from '@portolan/schemas/steps.ts'
import { Router } from 'express'
import type pg from 'pg'
import { z } from 'zod'
import type { Clock } from './clock.ts'
import { findOverdueSteps } from './overdue-steps.ts'
import {
  askForRetry,
  claimRetry,
  countParkedStreams,
  listParkedStreams,
  parkEvents,
  settleRetry,
} from './parked-events.ts'

const consumerSchema = z.object({ consumer: z.string().regex(/^[a-z.-]{1,100}$/) })
const parkedEventsSchema = z.object({
  events: z
    .array(
      z.object({
        tenantId: z.string(),
        stream: z.string(),
        streamVersion: z.int().min(1),
        envelope: z.unknown(),
        reason: z.string().max(500).nullable(),
      }),
    )
    .max(1000),
})
const streamSchema = z.object({ tenantId: z.string(), stream: z.string() })
const afterSchema = z.object({ tenantId: z.string().default(''), stream: z.string().default('') })
const settledSchema = streamSchema.extend({ handledUpTo: z.int().min(0), failure: z.string().max(500).nullable() })
/** A process that does not settle within this time is taken to be gone. Handling twenty events takes far less. */
const RETRY_CLAIM_SECONDS = 5

/** Of one tenant and step per answer, so that one tenant cannot crowd out the others (P12). */
const shareOf = (limit: number) => Math.max(1, Math.ceil(limit / 10))

/** pool: as the role of command-api. Errors: validation-error. */
export function createStoreRoutes({ pool, clock }: { pool: pg.Pool; clock: Clock }): Router {
  const routes = Router()

  routes.get('/internal/clock', (_req, res) => {
    const answer: z.infer<typeof databaseClockSchema> = { now: clock.now() }
    res.json(answer)
  })

  routes.post('/internal/steps/overdue', async (req, res) => {
    const request = parseInput(overdueStepsSchema, req.body)
    res.json({ steps: await findOverdueSteps(pool, { ...request, eachMax: shareOf(request.limit) }) })
  })

  routes.get('/internal/parked/:consumer', async (req, res) => {
    const { consumer } = parseInput(consumerSchema, req.params)
    res.json({ streams: await listParkedStreams(pool, consumer, parseInput(afterSchema, req.query)) })
  })

  routes.get('/internal/parked/:consumer/count', async (req, res) => {
    const { consumer } = parseInput(consumerSchema, req.params)
    res.json(await countParkedStreams(pool, consumer))
  })

  routes.post('/internal/parked/:consumer', async (req, res) => {
    const { consumer } = parseInput(consumerSchema, req.params)
    const { events } = parseInput(parkedEventsSchema, req.body)
    const parked = await parkEvents(
      pool,
      consumer,
      events.map((event) => ({ ...event, envelope: event.envelope ?? null })),
    )
    res.json(parked)
  })

  routes.post('/internal/parked/:consumer/retry', async (req, res) => {
    const { consumer } = parseInput(consumerSchema, req.params)
    res.json({ isParked: await askForRetry(pool, consumer, parseInput(streamSchema, req.body)) })
  })

  routes.post('/internal/parked/:consumer/claim', async (req, res) => {
    const { consumer } = parseInput(consumerSchema, req.params)
    res.json({ claimed: await claimRetry(pool, consumer, RETRY_CLAIM_SECONDS) })
  })

  routes.post('/internal/parked/:consumer/settle', async (req, res) => {
    const { consumer } = parseInput(consumerSchema, req.params)
    await settleRetry(pool, consumer, parseInput(settledSchema, req.body))
    res.status(204).end()
  })

  return routes
}
