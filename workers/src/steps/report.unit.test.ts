/**
 * What becomes of a report that is not taken.
 * Seen failing: with isRefusedForGood answering false a report that can never be accepted is queued; without an id two jobs carry one outcome.
 */
import type { Jobs, JobWorkerOptions, NewJob } from '@portolan/infra/jobs.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { type ProblemCode, Rejection } from '@portolan/schemas/errors.ts'
import type { ReportOutcome } from '@portolan/schemas/steps.ts'
import { expect } from 'chai'
import { createReporting } from './report.ts'

const executionId = '0f0c1c9e-1111-4222-8333-444455556666'
const outcome: ReportOutcome = {
  tenantId: 'coffeechain',
  stream: 'booking-1',
  step: 'deduct',
  attempt: 2,
  memberId: 'CC1234567',
  correlationId: 'c',
  causationId: 'e',
  executionId,
  outcome: { kind: 'unknown', code: 'timeout' },
}

/** A reporting whose command-api always answers with this error, or takes the report. */
function reportingWith(error: Error | null) {
  const seen = { asked: 0, queued: [] as NewJob<unknown>[], errors: [] as string[] }
  let handle: JobWorkerOptions<unknown>['handle'] = () => Promise.reject(new Error('nobody works'))
  const logger = {
    debug() {},
    info() {},
    warn() {},
    error: (text: string) => void seen.errors.push(text),
    child: () => logger,
  }
  const jobs: Jobs = {
    queue: () => ({
      add: async (added) => void seen.queued.push(...added),
      remove: async () => {},
      depth: async () => ({}),
    }),
    work: (options) => {
      handle = (job) => options.handle(job as never)
    },
    close: async () => {},
  }
  const metrics = createMetrics('workers')
  const attempts = {
    report: async () => {
      seen.asked += 1
      if (error) throw error
    },
  }
  const reporting = createReporting({ attempts, jobs, logger, metrics }, { retryMs: 1 })
  reporting.work()
  const work = (sinceMs = Date.now(), starts = 1) =>
    handle({ id: 'x', name: 'deduct', run: 1, starts, data: { report: outcome, sinceMs } })
  const shown = async () =>
    (await metrics.registry.getMetricsAsJSON()).find(({ name }) => name.endsWith('given_up_total'))
  const givenUp = async () => (await shown())?.values.map(({ labels, value }) => [labels.reason, value])
  return { ...reporting, seen, work, givenUp }
}

const rejection = (code: ProblemCode) => new Rejection(code, 'refused by the test')

describe('a report', () => {
  it('is made once when it is taken', async () => {
    const { report, seen } = reportingWith(null)
    await report(outcome)
    expect(seen).to.deep.equal({ asked: 1, queued: [], errors: [] })
  })

  it('waits in the queue while command-api is in trouble, once for each execution', async () => {
    for (const error of [new Error('no answer'), rejection('unavailable')]) {
      const { report, seen } = reportingWith(error)
      await report(outcome)
      await report(outcome)
      const id = `coffeechain/booking-1/deduct/2/${executionId}`
      expect(seen.queued.map((job) => job.id)).to.deep.equal([id, id])
      expect(seen.errors).to.deep.equal([])
    }
  })

  it('is given up aloud when it can never be accepted, by whoever carries it', async () => {
    const { report, work, seen, givenUp } = reportingWith(rejection('validation-error'))
    await report(outcome)
    expect(seen).to.deep.equal({ asked: 1, queued: [], errors: ['report given up'] })
    expect(await work()).to.equal(undefined)
    expect(await givenUp()).to.deep.equal([['refused', 2]])
  })

  it('that waits is tried again after growing pauses, for a day', async () => {
    const { work, seen, givenUp } = reportingWith(new Error('no answer'))
    const pauses = await Promise.all([1, 5, 40].map(async (starts) => (await work(Date.now(), starts))?.againInMs))
    expect(pauses[0]).to.be.within(1, 1.25)
    expect(pauses[1]).to.be.within(16, 20)
    expect(pauses[2]).to.be.within(60_000, 75_000)
    expect(await work(Date.now() - 86_400_001)).to.equal(undefined)
    expect(seen.errors).to.deep.equal(['report given up'])
    expect(await givenUp()).to.deep.equal([['too-old', 1]])
  })
})
