/** The internal protocol with command-api about attempts: claim, balance, report. Source: schemas/src/steps.ts. */
import { type ServiceClient, ServiceFault } from '@portolan/infra/http/client.ts'
import { problemCodes, Rejection } from '@portolan/schemas/errors.ts'
import {
  databaseClockSchema,
  type OverdueSteps,
  type RecordBalance,
  type ReportOutcome,
  type StartAttempt,
  type StartAttemptAnswer,
  type StepJob,
  startAttemptAnswerSchema,
  stepJobSchema,
} from '@portolan/schemas/steps.ts'
import { z } from 'zod'

export interface Attempts {
  start(request: StartAttempt): Promise<StartAttemptAnswer>
  recordBalance(request: RecordBalance): Promise<StartAttemptAnswer>
  report(report: ReportOutcome): Promise<void>
  /** A page of open steps that are overdue, with a share for each tenant and step. */
  overdue(request: OverdueSteps): Promise<StepJob[]>
  /** The database's clock, UTC milliseconds. */
  clock(): Promise<number>
}

const overdueSchema = z.object({ steps: z.array(stepJobSchema) })

/** Creates the client of the protocol. Every call throws a ServiceFault or Rejection when it was not answered properly. */
export function createAttempts(commandApi: ServiceClient): Attempts {
  const ask = async (name: string, body: StartAttempt | RecordBalance | ReportOutcome): Promise<unknown> =>
    commandApi.post(`/internal/attempts/${name}`, body, { correlationId: body.correlationId })
  return {
    clock: async () => Date.parse(databaseClockSchema.parse(await commandApi.get('/internal/clock')).now),
    start: async (request) => startAttemptAnswerSchema.parse(await ask('start', request)),
    recordBalance: async (request) => startAttemptAnswerSchema.parse(await ask('record-balance', request)),
    report: async (report) => {
      await ask('report', report)
    },
    overdue: async (request) => overdueSchema.parse(await commandApi.post('/internal/steps/overdue', request)).steps,
  }
}

/**
 * Asks again, with the same request, until it is answered or `untilMs` (by the clock given) has come. A granted claim is granted again to
 * the execution that holds it, so repeating is harmless. Returns null when there was no answer in time.
 */
export async function askUntil<T>(
  ask: () => Promise<T>,
  untilMs: number,
  { now, pauseMs }: { now: () => number; pauseMs: number },
): Promise<T | null> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isUnanswered(error)) throw error
      if (now() + pauseMs >= untilMs) return null
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
}

/** Whether asking the same again may help: no answer, a fault, or an answer that says "not now". Other Rejections are answers. */
export function isUnanswered(error: unknown): boolean {
  if (error instanceof Rejection) return problemCodes[error.code].kind === 'unavailable'
  return error instanceof ServiceFault
}
