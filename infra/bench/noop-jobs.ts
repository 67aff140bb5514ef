/**
 * B8's yardstick, a process of its own: jobs per second through our own queue settings when a job does nothing: added in
 * groups the size of a relay's batch, worked on fifty at once, removed when done.
 *
 *   node infra/bench/noop-jobs.ts '{"redisUrl": …, "jobs": 20000}'
 */
import { createJobs } from '@portolan/infra/jobs.ts'
import { createLogger } from '@portolan/infra/log.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'

export interface NoopJobs {
  redisUrl: string
  jobs: number
}

export interface NoopResult {
  jobsPerSecond: number
}

const CONCURRENCY = 50 // STEP_CONCURRENCY
const GROUP = 50
/** About what a step's job carries. */
const DATA = { input: 'x'.repeat(1_000) }

const options = JSON.parse(process.argv[2] ?? '{}') as NoopJobs
const logger = createLogger({ process: 'noop-jobs', level: 'error' })
const jobs = createJobs({
  redisUrl: options.redisUrl,
  keyPrefix: 'noop:',
  logger,
  metrics: createMetrics('noop-jobs'),
})
const queue = jobs.queue('noop')

/** Resolves when every job was added and has gone. */
async function run(prefix: string, count: number): Promise<void> {
  const gone = Promise.withResolvers<void>()
  left = count
  whenGone = gone.resolve
  for (let n = 0; n < count; n += GROUP) {
    await queue.add(Array.from({ length: GROUP }, (_, i) => ({ name: 'noop', id: `${prefix}-${n + i}`, data: DATA })))
  }
  await gone.promise
}

let left = 0
let whenGone = () => {}
jobs.work({
  queue: 'noop',
  concurrency: CONCURRENCY,
  handle: async () => undefined,
  onGone: () => {
    left -= 1
    if (left === 0) whenGone()
  },
})
while (
  !(await queue.depth().then(
    () => true,
    () => false,
  ))
)
  await new Promise((resolve) => setTimeout(resolve, 50))
await run('warm', 2_000)
process.send?.('measuring')
const beganAt = performance.now()
await run('job', options.jobs)
const result: NoopResult = { jobsPerSecond: (options.jobs / (performance.now() - beganAt)) * 1000 }
await jobs.close(5_000)
process.stdout.write(`${JSON.stringify(result)}\n`)
process.disconnect?.()
