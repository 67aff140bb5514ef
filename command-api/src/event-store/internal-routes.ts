/** `/internal/steps/*` and `/internal/parked/*`: what worker-side consumers, which own no database, keep here. Behind the service token. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { overdueStepsSchema } from '@portolan/schemas/steps.ts'
import { Router } from 'express'
import type pg from 'pg'
import { z } from 'zod'
import { findOverdueSteps } from './overdue-steps.ts'
import { listParkedStreams, parkEvents, releaseParkedStream } from './parked-events.ts'

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
const releaseSchema = z.object({ tenantId: z.string(), stream: z.string() })

/** Of one tenant and step per answer, so that one tenant cannot crowd out the others (P12). */
const shareOf = (limit: number) => Math.max(1, Math.ceil(limit / 10))

/** pool: as the role of command-api. Errors: validation-error. */
export function createStoreRoutes({ pool }: { pool: pg.Pool }): Router {
  const routes = Router()

  routes.post('/internal/steps/overdue', async (req, res) => {
    const request = parseInput(overdueStepsSchema, req.body)
    res.json({ steps: await findOverdueSteps(pool, { ...request, eachMax: shareOf(request.limit) }) })
  })

  routes.get('/internal/parked/:consumer', async (req, res) => {
    const { consumer } = parseInput(consumerSchema, req.params)
    res.json({ streams: await listParkedStreams(pool, consumer) })
  })

  routes.post('/internal/parked/:consumer', async (req, res) => {
    const { consumer } = parseInput(consumerSchema, req.params)
    const { events } = parseInput(parkedEventsSchema, req.body)
    await parkEvents(
      pool,
      consumer,
      events.map((event) => ({ ...event, envelope: event.envelope ?? null })),
    )
    res.status(204).end()
  })

  routes.post('/internal/parked/:consumer/release', async (req, res) => {
    const { consumer } = parseInput(consumerSchema, req.params)
    const { tenantId, stream } = parseInput(releaseSchema, req.body)
    const released = await releaseParkedStream(pool, consumer, tenantId, stream)
    res.json({ released: released.length })
  })

  return routes
}
