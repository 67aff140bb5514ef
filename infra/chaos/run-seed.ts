/** One run: start everything, load and break it, let it come to rest, judge it. */
import type { KillPoint } from '@portolan/infra/kill-points.ts'
import { ROOT } from '../launch/paths.ts'
import { Obstacle } from '../launch/say.ts'
import { type Client, createClient } from './client.ts'
import { missedBy } from './coverage.ts'
import { type Evidence, type InjectedFault, type Judgement, saveEvidence } from './evidence.ts'
import type { FaultName } from './faults.ts'
import type { Incarnation } from './fleet.ts'
import { endOutsideFaults, type Injection } from './inject.ts'
import { judge } from './invariants/all.ts'
import { type Laboratory, startLaboratory } from './laboratory.ts'
import { startLoad } from './load.ts'
import { nobodyFails } from './nobody-fails.ts'
import { pause } from './pause.ts'
import { namesIn, type Plan, planRun } from './plan.ts'
import { type Profile, type ProfileName, profiles } from './profiles.ts'
import { waitForRest } from './quiescence.ts'
import { injectAll } from './schedule.ts'

export interface RunOptions {
  /** Of the product under test; default this checkout. */
  root?: string
  seed: number
  profile: ProfileName
  /** Default the profile's. */
  minutes?: number
  /** A slow machine gets at most so many times the minutes, until what is planned took effect there too. Default 4. */
  patience?: number
  /** Only these faults and kill points; an empty list breaks nothing. */
  only?: readonly string[]
  /** Leaves the folder with logs and evidence behind even when all is well. */
  keeps?: boolean
  onProgress?(progress: Progress): void
  /** Gives the run up: everything is stopped and removed, and `runSeed` rejects with its reason. */
  signal?: AbortSignal
}

export interface Progress {
  seed: number
  elapsedMs: number
  phase: string
  /** Faults that are under way. */
  faults: string[]
  sent: number
  ended: number
  restarts: number
}

export interface SeedResult {
  seed: number
  profile: ProfileName
  minutes: number
  /** Every invariant held and nothing was missed. */
  isGood: boolean
  /** Names of the faults and kill points of its plan. */
  planned: string[]
  /** What of them was not injected, not reached or took no effect, one sentence each. */
  missed: string[]
  seconds: number
  /** Everything that was injected, in order. */
  injections: Injection[]
  /** How often each planned kill point was armed and reached. */
  killPoints: { point: KillPoint; armed: number; reached: number }[]
  invariants: (Judgement & { name: string })[]
  commands: { sent: number; ended: number; outcomes: Record<string, number> }
  restarts: number
  /** Where logs and evidence are; null when they were removed. */
  folder: string | null
}

/** Runs one seed from nothing to a verdict. Rejects only when the laboratory itself could not do its work, or is given up. */
export async function runSeed(options: RunOptions): Promise<SeedResult> {
  const { root = ROOT, seed, keeps = false } = options
  const profile = profiles[options.profile]
  const minutes = options.minutes ?? profile.loadMs / 60_000
  const only = options.only && new Set(options.only)
  const plan = planRun(seed, profile, { loadMs: minutes * 60_000, ...(only ? { only } : {}) })
  const givenUp = Promise.withResolvers<never>()
  givenUp.promise.catch(() => undefined) // also when nobody waits for it any more
  options.signal?.addEventListener('abort', () => givenUp.reject(options.signal?.reason))
  const teller = createTeller(seed, options.onProgress)
  const starting = startLaboratory({ root, plan, onPhase: teller.tell })
  let isGood = false
  const work = async (): Promise<SeedResult> => {
    const lab = await starting
    const broken = await loadAndBreak(lab, plan, profile, options.patience ?? 4, teller)
    const invariants = await judgeAtRest(lab, profile, broken.evidence, teller)
    const killPoints = countPoints(lab.fleet.incarnations())
    const missed = missedBy(plan, { injections: broken.injections, killPoints })
    isGood = missed.length === 0 && invariants.every(({ violations }) => violations.length === 0)
    return {
      seed,
      profile: profile.name,
      minutes,
      isGood,
      planned: namesIn(plan),
      missed,
      seconds: teller.seconds(),
      injections: broken.injections,
      killPoints,
      invariants,
      commands: broken.client.counts(),
      restarts: restartsOf(lab),
      folder: isGood && !keeps ? null : lab.folder,
    }
  }
  try {
    return await Promise.race([work(), givenUp.promise])
  } finally {
    teller.tell('stopping')
    teller.stop()
    // Given up while it was starting, it has to be there before it can be ended.
    await starting.then(
      (lab) => lab.dispose(keeps || (!isGood && !isStopped(options.signal))),
      () => undefined, // has ended itself, and `work` has said why
    )
  }
}

/** Whether somebody who does not want to know any more stopped the run, rather than a deadline that somebody will ask about. */
const isStopped = (signal?: AbortSignal) => signal?.reason instanceof Obstacle

/** From the planned end on, processes that stand by are given work this often, to die in it. */
const HELP_EVERY_MS = 10_000

/** Lets members in and injects what is planned, until everything took effect, or patience ends; then all finish. */
async function loadAndBreak(lab: Laboratory, plan: Plan, profile: Profile, patience: number, teller: Teller) {
  const { seed, loadMs } = plan
  const evidence = emptyEvidence(seed, lab)
  const client = createClient(lab.fleet, seed, evidence)
  teller.watch(lab, client)
  teller.tell('loading')
  const load = await startLoad(lab, client, { seed, profile }, evidence)
  const ending = new AbortController()
  const injecting = injectAll(lab, evidence, plan.faults, teller.underWay, ending.signal)
  const untilReached = async () => {
    let helpAt = performance.now() + loadMs
    while (lab.fleet.unreached() > 0 && !ending.signal.aborted) {
      await pause(500, ending.signal)
      if (performance.now() < helpAt) continue
      helpAt += HELP_EVERY_MS
      await lab.fleet.killBesideArmed()
    }
  }
  const everything = Promise.all([pause(loadMs), injecting, untilReached()])
  const failed = load.done.then(() => new Promise<never>(() => undefined)) // members that fail are the laboratory's fault
  try {
    await Promise.race([everything, pause(patience * loadMs, ending.signal), failed])
  } finally {
    ending.abort()
    load.end()
  }
  const injections = await injecting
  await endOutsideFaults(lab)
  teller.tell('letting members finish')
  await load.done
  Object.assign(evidence, { members: load.members, personalData: load.personalData })
  evidence.faults = [...injections]
  return { evidence, injections, client }
}

async function judgeAtRest(
  lab: Laboratory,
  profile: Profile,
  evidence: Evidence,
  teller: Teller,
): Promise<SeedResult['invariants']> {
  lab.fleet.disarm()
  teller.tell('waiting for rest')
  const open = await waitForRest(lab, profile.quietWithinMs, (left) =>
    teller.tell(`waiting for rest: ${left.length} open: ${left[0] ?? ''}`),
  )
  teller.tell('judging')
  evidence.faults.push(...killsAtPoints(lab.fleet.incarnations()))
  saveEvidence(`${lab.folder}/evidence.json`, evidence)
  const verdicts = await judge(evidence).catch((error: Error) => [
    { name: 'can-be-judged', violations: [{ what: String(error.stack) }], notes: [] },
  ])
  const atRest = { name: 'comes-to-rest', violations: open.map((what) => ({ what })), notes: [] }
  return [atRest, nobodyFails(lab.fleet, evidence.faults), lossIsRefused(evidence), ...verdicts]
}

/** A store that lacks what Kafka holds is not sent on from, and nobody calls anybody, before an operator has said so. */
function lossIsRefused({ faults }: Evidence): Judgement & { name: string } {
  const unsaid = faults.filter(({ kind, details }) => kind === 'restore' && details?.isRefused === false)
  const what = 'a backup was restored that lacks events, and no relay said so'
  return { name: 'loss-is-refused', violations: unsaid.map(({ details }) => ({ what, details })), notes: [] }
}

interface Teller {
  underWay: Set<FaultName>
  watch(lab: Laboratory, client: Client): void
  tell(phase: string): void
  seconds(): number
  stop(): void
}

/** Says where the run is, at every change and twice a second. */
function createTeller(seed: number, onProgress: RunOptions['onProgress']): Teller {
  const startedAt = performance.now()
  const underWay = new Set<FaultName>()
  let watched: { lab: Laboratory; client: Client } | undefined
  let phase = ''
  const show = () => {
    const { sent = 0, ended = 0 } = watched?.client.counts() ?? {}
    const restarts = watched ? restartsOf(watched.lab) : 0
    const elapsedMs = performance.now() - startedAt
    onProgress?.({ seed, elapsedMs, phase, faults: [...underWay], sent, ended, restarts })
  }
  const ticker = setInterval(show, 500)
  return {
    underWay,
    watch: (lab, client) => {
      watched = { lab, client }
    },
    tell: (next) => {
      phase = next
      show()
    },
    seconds: () => Math.round((performance.now() - startedAt) / 1000),
    stop: () => clearInterval(ticker),
  }
}

function emptyEvidence(seed: number, lab: Laboratory): Evidence {
  const { writeUrl, readUrl, topicPrefix, redisKeyPrefix, partnerUrl, duffelUrl, opsEnv, folder, servers } = lab
  return {
    seed,
    writeUrl,
    readUrl,
    kafka: { brokers: [servers.url('kafka')], topicPrefix },
    redis: { url: servers.url('redis'), keyPrefix: redisKeyPrefix },
    duffelUrl,
    partnerUrl,
    partnerPeriods: [],
    members: [],
    opsEnv,
    logFolder: `${folder}/logs`,
    requests: [],
    reads: [],
    faults: [],
    personalData: [],
    lostEvents: [],
    lostAndSent: [],
    lostKeys: [],
  }
}

function killsAtPoints(incarnations: readonly Incarnation[]): InjectedFault[] {
  return incarnations
    .filter(({ reached }) => reached)
    .map(({ process, armed, endedAt }) => ({
      kind: 'kill-at-point',
      target: process,
      from: endedAt ?? '',
      until: endedAt ?? '',
      details: { point: armed },
    }))
}

function countPoints(incarnations: readonly Incarnation[]): SeedResult['killPoints'] {
  const armed = Map.groupBy(
    incarnations.filter((one) => one.armed !== null),
    (one) => one.armed as KillPoint,
  )
  return [...armed].map(([point, lives]) => ({
    point,
    armed: lives.length,
    reached: lives.filter(({ reached }) => reached).length,
  }))
}

const restartsOf = ({ fleet }: Laboratory) => fleet.incarnations().length - fleet.names().length
