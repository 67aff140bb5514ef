/** `/internal/attempts/*`: workers claim attempts, record balances and report outcomes. Mounted behind the service token. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import {
  type RecordBalance,
  type ReportOutcome,
  recordBalanceSchema,
  reportOutcomeSchema,
  type StartAttempt,
  type StartAttemptAnswer,
  startAttemptSchema,
} from '@portolan/schemas/steps.ts'
import { memberAccountStream } from '@portolan/schemas/topics.ts'
import { Router } from 'express'
import type { Effect } from '../event-store/append.ts'
import { balanceIsRecorded, claimAnswer, recordBalance, reportOutcome, startAttempt } from './attempts.ts'
import { attemptKey } from './booking.ts'
import type { BookingDeps } from './booking-deps.ts'
import { type Decision, nothing, type States } from './decider.ts'
import { memberAccountStreamType } from './member-account.ts'
import { endsNeedVerifiedLog, requireLogVerified } from './needs-verified-log.ts'
import type { AttemptSettings } from './process.ts'

/** How soon a worker whose member is busy with another movement asks again. */
const busyRetryMs = 500

type Attempt = StartAttempt | RecordBalance | ReportOutcome

/**
 * Errors: validation-error; unavailable while the log has not been compared with its copy: no claim is granted then, and nothing ends on
 * the word of somebody who holds none.
 */
export function createAttemptRoutes(deps: BookingDeps): Router {
  const routes = Router()

  routes.post('/internal/attempts/start', async (req, res) => {
    const command = parseInput(startAttemptSchema, req.body)
    const states = await change(deps, command, startAttempt, () => [requireLogVerified])
    res.json(startAnswer(states, command))
  })

  routes.post('/internal/attempts/record-balance', async (req, res) => {
    const command = parseInput(recordBalanceSchema, req.body)
    const states = await change(deps, command, (before, balance, now) => ({
      booking: [],
      account: recordBalance(before, balance, now),
    }))
    const answer: StartAttemptAnswer = balanceIsRecorded(states, command)
      ? { granted: true }
      : { granted: false, reason: 'over', retryAfterMs: null }
    res.json(answer)
  })

  routes.post('/internal/attempts/report', async (req, res) => {
    const command = parseInput(reportOutcomeSchema, req.body)
    await change(deps, command, reportOutcome, (decision, { booking }) => {
      const isHolder = command.executionId !== null && booking?.executions[attemptKey(command)] === command.executionId
      return isHolder ? [] : endsNeedVerifiedLog(decision)
    })
    res.status(204).end()
  })

  return routes
}

/** Runs one of the deciders over the booking and its member's account; a report for another member's account changes nothing. */
async function change<C extends Attempt>(
  deps: BookingDeps,
  command: C,
  decide: (states: States, command: C, now: string, settings: AttemptSettings) => Decision,
  effectsOf: (decision: Decision, before: States) => Effect[] = () => [],
): Promise<States> {
  const { tenantId, memberId, correlationId, causationId, mockError, traceparent } = command
  const tenant = await deps.findTenant(tenantId)
  const resetBalance = memberId ? tenant?.partner.resetBalances[memberId] : undefined
  const handled = await deps.store.handle({
    context: {
      tenantId,
      actor: { kind: 'service', id: 'workers' },
      correlationId,
      causationId,
      mockError,
      traceparent,
    },
    streams: {
      booking: { type: deps.bookingType, stream: command.stream },
      account: { type: memberAccountStreamType, stream: memberAccountStream(memberId ?? 'none') },
    },
    decide: (states, now) => {
      const isOwn = states.booking?.memberId === memberId
      const events = isOwn ? decide(states, command, now, { times: deps.times, resetBalance }) : nothing
      return { events: { ...events }, effects: events.booking.length > 0 ? effectsOf(events, states) : [] }
    },
  })
  if (handled.replayed) throw new Error('a command without an idempotency key was replayed')
  return handled.states
}

function startAnswer(states: States, command: StartAttempt): StartAttemptAnswer {
  switch (claimAnswer(states, command)) {
    case 'granted':
      return { granted: true }
    case 'busy':
      return { granted: false, reason: 'busy', retryAfterMs: busyRetryMs }
    case 'over':
      return { granted: false, reason: 'over', retryAfterMs: null }
  }
}
