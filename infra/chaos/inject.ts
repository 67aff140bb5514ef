/** Carries out the faults of the list, one function per kind, and finds out whether each of them took effect. */
import { readFileSync } from 'node:fs'
import { createJobs } from '@portolan/infra/jobs.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { Redis } from 'ioredis'
import { isListening, waitUntil } from '../launch/wait.ts'
import type { Evidence, FaultKind, InjectedFault, PartnerPeriod } from './evidence.ts'
import { type Fault, type FaultName, faultOf, type OutsideRule } from './faults.ts'
import type { Laboratory } from './laboratory.ts'
import { pause } from './pause.ts'
import type { PlannedFault } from './plan.ts'
import { poison } from './poison.ts'
import { restore, takeBackup } from './restore.ts'

const SHIFT_CLOCK = new URL('./shift-clock.mjs', import.meta.url).href
const STEP_QUEUE = 'steps'
const JOBS_COPIED = 25
/** A stale job is of an attempt that was asked for at least so long ago. */
const STALE_AFTER_S = 6

export interface Injection extends InjectedFault {
  name: FaultName
  tookEffect: boolean
}

interface Context {
  lab: Laboratory
  evidence: Pick<Evidence, 'partnerPeriods' | 'lostEvents' | 'lostAndSent' | 'lostKeys'>
  fault: Fault
  planned: PlannedFault
  /** Resolves early when the run is given up. */
  last(ms: number): Promise<void>
  isOver(): boolean
}

/** Whether it took effect, what was hit where the plan does not say, and what the report should say beside that. */
interface Outcome {
  tookEffect: boolean
  target?: string
  details?: Record<string, unknown>
}
type Inject = (context: Context) => Promise<Outcome>

/** Injects one fault and resolves when it is over. A fault that could not be injected took no effect; why is in its details. */
export async function inject(
  lab: Laboratory,
  evidence: Context['evidence'],
  planned: PlannedFault,
  signal: AbortSignal,
): Promise<Injection> {
  const fault = faultOf(planned.fault)
  const from = new Date().toISOString()
  const last = (ms: number) => pause(ms, signal)
  const outcome: Outcome = await byKind[fault.kind]({
    lab,
    evidence,
    fault,
    planned,
    last,
    isOver: () => signal.aborted,
  }).catch((error: Error) => ({
    tookEffect: false,
    details: { error: error.message },
  }))
  return {
    name: planned.fault,
    kind: fault.kind,
    target: outcome.target ?? planned.target,
    from,
    until: new Date().toISOString(),
    tookEffect: outcome.tookEffect,
    details: { name: planned.fault, ...outcome.details },
  }
}

const byKind: Record<FaultKind, Inject> = {
  kill: async ({ lab, planned }) => {
    await untilRunning(lab, planned.target)
    return { tookEffect: await lab.fleet.kill(planned.target) }
  },

  pause: async ({ lab, planned, last }) => {
    await untilRunning(lab, planned.target)
    const startedAt = performance.now()
    const held = await lab.fleet.pause(planned.target)
    await last(planned.forMs)
    const wasHeld = held !== null && lab.fleet.isHeldStill(planned.target, held)
    lab.fleet.resume(planned.target)
    // Another fault may have ended it meanwhile, or the run its end.
    return { tookEffect: wasHeld && performance.now() - startedAt >= planned.forMs }
  },

  'kafka-stop': async (context) => outage(context, 'kafka', 'SIGINT'),
  'kafka-kill': async (context) => outage(context, 'kafka', 'SIGKILL'),
  'kafka-wipe': async (context) => outage(context, 'kafka', 'SIGKILL', () => context.lab.servers.wipeKafka()),
  'redis-stop': async (context) => outage(context, 'redis', 'SIGINT'),
  'postgres-restart': async (context) => outage(context, 'postgres', context.fault.signal ?? 'SIGINT'),

  'redis-empty': async ({ lab }) => {
    const redis = new Redis(lab.servers.url('redis'))
    try {
      const before = await redis.dbsize()
      await redis.flushall()
      return { tookEffect: before > 0, details: { keys: before } }
    } finally {
      redis.disconnect()
    }
  },

  'postgres-cut': async ({ lab }) => {
    const rows = await lab.query<{ cut: boolean }>(
      lab.servers.url('postgres'),
      `select pg_terminate_backend(pid) as cut from pg_stat_activity
       where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    )
    const cut = rows.filter((row) => row.cut).length
    return { tookEffect: cut > 0, details: { connections: cut } }
  },

  poison: async ({ lab, planned, last, isOver }) => {
    const { victim, parked } = await poison(lab, { forMs: planned.forMs, last, isOver })
    return { tookEffect: parked.length > 0, target: 'booking_details', details: { ...victim, parked } }
  },

  restore: async ({ lab, evidence, planned, last }) => {
    const backup = await takeBackup(lab)
    await last(planned.forMs)
    const lost = await restore(lab, backup, evidence)
    return { tookEffect: lost.events > 0, target: 'write database', details: lost }
  },

  'partner-reset': async ({ lab, evidence, last, isOver }) => {
    const hasMoved = async () => {
      const { transactions } = (await control(lab.partnerUrl, 'GET', 'state')) as Omit<PartnerPeriod, 'endedAt'>
      return transactions.length > 0
    }
    while (!isOver() && !(await hasMoved())) await last(RULE_LOOK_MS)
    const before = (await control(lab.partnerUrl, 'POST', 'hourly-reset')) as Omit<PartnerPeriod, 'endedAt'>
    evidence.partnerPeriods.push({ ...before, endedAt: new Date().toISOString() })
    return { tookEffect: before.transactions.length > 0, target: 'sandbox-coffeechain' }
  },

  'partner-fault': outside,
  'supplier-fault': outside,

  'duplicate-job': async (context) => {
    const jobs = await stepJobs(
      context,
      `join open_steps o using (tenant_id, stream)
       where e.type = 'StepRequested' and o.step = e.data ->> 'step' and o.attempt = (e.data ->> 'attempt')::int`,
    )
    return copyJobs(context, jobs, 2)
  },
  'stale-job': async (context) => {
    const jobs = await stepJobs(
      context,
      `where e.type = 'StepRequested' and e.recorded_at < now() - interval '${STALE_AFTER_S} seconds'
         and not exists (select from open_steps o where o.tenant_id = e.tenant_id and o.stream = e.stream
           and o.step = e.data ->> 'step' and o.attempt = (e.data ->> 'attempt')::int)`,
    )
    return copyJobs(context, jobs, 1)
  },

  'worker-clock': async ({ lab, planned, fault, last, isOver }) => {
    const shiftMs = fault.shiftMs ?? 0
    const env = { CHAOS_CLOCK_SHIFT_MS: String(shiftMs) }
    lab.fleet.setExtra(planned.target, { env, imports: [SHIFT_CLOCK] })
    await lab.fleet.kill(planned.target)
    // By what it logs, seconds ago perhaps, by its own clock. Starting takes a slow machine a while, and it may die at a kill point.
    const offMs = () => newestLogTime(lab, planned.target) - Date.now()
    const isOff = () => Math.abs(offMs() - shiftMs) < Math.abs(shiftMs) / 2
    while (!isOver() && !isOff()) await last(RULE_LOOK_MS)
    const [tookEffect, shown] = [isOff(), offMs()]
    await last(planned.forMs)
    lab.fleet.setExtra(planned.target, {})
    await lab.fleet.kill(planned.target)
    return { tookEffect, details: { offMs: shown } }
  },

  'kill-at-point': async () => {
    throw new Error('kill points are armed when a process starts')
  },
}

/** It may have died at a kill point a moment ago. */
const untilRunning = ({ fleet }: Laboratory, name: string) =>
  waitUntil(() => fleet.isRunning(name), { withinMs: 2_000, everyMs: 20 })

/** A server goes away, stays away as long as planned, and comes back. */
async function outage(
  { lab, planned, last }: Context,
  name: 'kafka' | 'redis' | 'postgres',
  signal: NodeJS.Signals,
  meanwhile = () => {},
): Promise<{ tookEffect: boolean; target: string }> {
  const { hostname, port } = new URL(lab.servers.url(name).replace(/^(?!\w+:\/\/)/, 'tcp://'))
  await lab.servers.stop(name, signal)
  // Threads of a killed server may hold its port for a moment longer than its process lives.
  const wasAway = await waitUntil(async () => !(await isListening(hostname, Number(port))), { withinMs: 3_000 })
  meanwhile()
  await last(planned.forMs)
  await lab.servers.start(name)
  return { tookEffect: wasAway === true, target: name }
}

/** Rules are for so many calls; the fault is over when they were made, or when the run wants to end. */
async function outside({ lab, fault, last, isOver }: Context): Promise<{ tookEffect: boolean; target: string }> {
  const { at, ...rule } = fault.rule as OutsideRule
  const url = at === 'partner' ? lab.partnerUrl : lab.duffelUrl
  await control(url, 'POST', 'faults', [rule])
  const isUsed = async () => {
    const { rules } = (await control(url, 'GET', 'faults')) as { rules: OutsideRule[] }
    return !rules.some((left) => isSameRule(left, rule))
  }
  while (!isOver() && !(await isUsed())) await last(RULE_LOOK_MS)
  return { tookEffect: await isUsed(), target: `${at} ${rule.operation}` }
}
const RULE_LOOK_MS = 400

/** However many calls are left to it. */
function isSameRule(left: Omit<OutsideRule, 'at' | 'times'>, rule: Omit<OutsideRule, 'at' | 'times'>): boolean {
  const shape = ({ operation, effect, answer, delayMs, effectDelayMs }: typeof rule) =>
    JSON.stringify([operation, effect, answer, delayMs, effectDelayMs])
  return shape(left) === shape(rule)
}

interface StepRequested {
  tenantId: string
  stream: string
  eventId: string
  data: { step: string; attempt: number; dueAt: string; deadline: string; input: object }
  metadata: { correlationId: string; mockError?: string; traceparent?: string }
}

/** The newest steps that were asked for and match, as soon as there are any; those that call somebody first. */
async function stepJobs({ lab, last, isOver }: Context, where: string): Promise<StepRequested[]> {
  for (;;) {
    const found = await matchingSteps(lab, where).catch(() => []) // the store may be away
    if (found.length > 0 || isOver()) return found
    await last(RULE_LOOK_MS)
  }
}

function matchingSteps({ query, writeUrl }: Laboratory, where: string): Promise<StepRequested[]> {
  return query<StepRequested>(
    writeUrl,
    `select e.tenant_id as "tenantId", e.stream, e.event_id as "eventId", e.data, e.metadata from events e ${where}
     order by e.data ->> 'step' in ('deduct', 'refund', 'place-hold', 'issue-tickets', 'cancel-order') desc, e.recorded_at desc
     limit ${JOBS_COPIED}`,
  )
}

/** Puts jobs into the queue under ids of their own. Effect: workers took them all up, and nobody emptied Redis meanwhile. */
async function copyJobs(
  { lab, last, isOver }: Context,
  requested: readonly StepRequested[],
  copies: number,
): Promise<{ tookEffect: boolean; target: string; details: Record<string, unknown> }> {
  const jobs = createJobs({
    redisUrl: lab.servers.url('redis'),
    keyPrefix: lab.redisKeyPrefix,
    logger: silent,
    metrics: createMetrics('chaos'),
  })
  const redis = new Redis(lab.servers.url('redis'))
  redis.on('error', () => undefined) // Redis may be away: whoever asks it hears of it
  const marker = `${lab.redisKeyPrefix}chaos-copies`
  try {
    const queue = jobs.queue(STEP_QUEUE)
    const added = requested.flatMap(({ tenantId, stream, eventId, data, metadata }) => {
      const { correlationId, mockError, traceparent } = metadata
      const job = { tenantId, stream, ...data, correlationId, causationId: eventId, mockError, traceparent }
      return Array.from({ length: copies }, (_, copy) => ({
        name: data.step,
        id: `copy-${copy}-${eventId}`,
        data: job,
      }))
    })
    // Before the copies, and looked for after them: whoever empties Redis between takes it away with them.
    const add = async () => {
      await redis.set(marker, '1')
      await queue.add(added)
      return true
    }
    const isAdded = () => add().catch(() => false)
    while (!isOver() && !(await isAdded())) await last(RULE_LOOK_MS)
    const areGone = () =>
      queue.depth().then(
        ({ waiting = 0 }) => waiting === 0,
        () => false,
      )
    let areTaken = await areGone()
    for (; !areTaken && !isOver(); areTaken = await areGone()) await last(RULE_LOOK_MS)
    areTaken &&= (await redis.exists(marker).catch(() => 0)) === 1
    return { tookEffect: added.length > 0 && areTaken, target: 'queue', details: { jobs: added.length } }
  } finally {
    redis.disconnect()
    await jobs.close(2_000)
  }
}

/** UTC milliseconds of the newest line of a process's log, by its own clock. */
function newestLogTime({ fleet }: Laboratory, name: string): number {
  const incarnation = fleet.incarnations().findLast((one) => one.process === name)
  const lines = incarnation ? readFileSync(fleet.logOf(incarnation), 'utf8').trim().split('\n') : []
  const times = lines.flatMap((line) => {
    const time = /"timestamp":"([^"]+)"/.exec(line)?.[1]
    return time ? [Date.parse(time)] : []
  })
  return times.at(-1) ?? 0
}

async function control(url: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${url}/_sandbox/${path}`, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return text ? JSON.parse(text) : undefined
}

/** Takes what is left of the rules away: the faults are over. */
export async function endOutsideFaults(lab: Laboratory): Promise<void> {
  await Promise.all([lab.partnerUrl, lab.duffelUrl].map((url) => control(url, 'DELETE', 'faults')))
}

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent }
