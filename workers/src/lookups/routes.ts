/**
 * The internal lookup port: questions to the outside world that change nothing, each answered within a deadline and never
 * through a queue. Shapes and problem codes: schemas/src/flights/lookups.ts.
 */
import { parseInput } from '@portolan/infra/http/problem.ts'
import type { Logger } from '@portolan/infra/log.ts'
import {
  approvalCheckLookupSchema,
  flightSearchLookupSchema,
  memberBalanceLookupSchema,
} from '@portolan/schemas/flights/lookups.ts'
import { Router } from 'express'
import type { Duffel } from '../flights/duffel.ts'
import { searchFlights } from '../flights/duffel-search.ts'
import type { Partners } from '../partners/partners.ts'
import { valueOrReject, within } from './answers.ts'
import type { Health } from './health.ts'

export interface LookupDeps {
  duffel: Duffel
  partners: Partners
  health(): Promise<Health>
  logger: Logger
  /** The clock of the guards, milliseconds. */
  elapsed: () => number
}

/** partnerDeadlineMs: for a partner's answer, waiting for a turn included. */
export function createLookupRoutes(deps: LookupDeps, { partnerDeadlineMs }: { partnerDeadlineMs: number }): Router {
  const { duffel, partners, logger, elapsed } = deps
  const routes = Router()

  routes.post('/internal/lookups/flight-search', async (req, res) => {
    const { search, deadlineMs, tenantId, correlationId } = parseInput(flightSearchLookupSchema, req.body)
    const limits = { sendBeforeMs: elapsed() + deadlineMs }
    const { offers, dropped } = valueOrReject(
      await within(deadlineMs, searchFlights(duffel, search, deadlineMs, limits)),
    )
    if (dropped > 0) logger.warn('offers left out', { tenantId, correlationId, dropped, kept: offers.length })
    res.json({ offers })
  })

  routes.post('/internal/lookups/member-balance', async (req, res) => {
    const { tenantId, memberId, mockError } = parseInput(memberBalanceLookupSchema, req.body)
    const ask = async () => {
      const partner = await partners.of(tenantId)
      return partner.balance(memberId, { sendBeforeMs: elapsed() + partnerDeadlineMs, mockError })
    }
    res.json(valueOrReject(await within(partnerDeadlineMs, ask())))
  })

  routes.post('/internal/lookups/approval-check', async (req, res) => {
    const { tenantId, memberId, amount, bookingReference, mockError } = parseInput(approvalCheckLookupSchema, req.body)
    const ask = async () => {
      const partner = await partners.of(tenantId)
      const call = { sendBeforeMs: elapsed() + partnerDeadlineMs, mockError }
      return partner.checkApproval({ memberId, amount, bookingReference }, call)
    }
    res.json(valueOrReject(await within(partnerDeadlineMs, ask())))
  })

  routes.get('/internal/lookups/health', async (_req, res) => {
    res.json(await deps.health())
  })

  return routes
}
