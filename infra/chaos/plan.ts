/**
 * What a run breaks, and when: a pure function of seed and profile. Whether the processes meet it at the same instruction twice is up to
 * the machine, but the same seed breaks the same things in the same order at the same times under the same requests.
 */
import { type KillPoint, killPoints } from '@portolan/infra/kill-points.ts'
import { type FaultName, faultNames, faultOf, type Lane, type Part } from './faults.ts'
import type { Profile } from './profiles.ts'
import { createRandom, type Random } from './random.ts'

export const processCounts = { 'command-api': 2, relay: 2, workers: 2, projections: 2, 'query-api': 2 } as const
export type ProcessKind = keyof typeof processCounts

/** A kill point for one start of a process: it dies there the `count`th time, not within `afterMs` of its start. */
export interface ArmedPoint {
  point: KillPoint
  count: number
  afterMs: number
}

export interface PlannedFault {
  fault: FaultName
  /** Since the load began; later when the fault before it in its lane is not over. */
  atMs: number
  /** How long it lasts; 0 for what is over at once. */
  forMs: number
  /** The process that is hit, or an empty text. */
  target: string
}

export interface Plan {
  seed: number
  loadMs: number
  /** By kind of process, in the order in which its starts take them. */
  arms: Partial<Record<ProcessKind, ArmedPoint[]>>
  /** In the order of their times. */
  faults: PlannedFault[]
}

const LANES: readonly Lane[] = ['kills', 'pauses', 'servers', 'outside', 'queue']
/** The beginning and the end of a round are left alone: something has to run before it can be broken, and to be repaired. */
const FIRST_SHARE = 0.08
const LAST_SHARE = 0.88
const COUNT_MOST = 4

export interface PlanOptions {
  /** Default: the profile's. */
  loadMs?: number
  /** Only these faults and kill points; default all of the profile. */
  only?: ReadonlySet<string>
}

/** What this seed breaks under this profile. */
export function planRun(seed: number, profile: Profile, { loadMs = profile.loadMs, only }: PlanOptions = {}): Plan {
  const part = seed % 2 === 0 ? 2 : 1
  const isWanted = (name: string, itsPart: Part) => (only ? only.has(name) : !profile.isSplit || itsPart === part)
  const rounds = Math.max(1, Math.round(loadMs / profile.roundMs))
  const roundMs = loadMs / rounds
  const points = pointNames.filter((point, index) => isWanted(point, index % 2 === 0 ? 1 : 2))
  const names = faultNames.filter((name) => isWanted(name, faultOf(name).part))
  const planned: PlannedFault[] = []
  const arms: Plan['arms'] = {}
  for (let round = 0; round < rounds; round++) {
    const random = createRandom(seed, `plan ${round}`)
    for (const { kind, armed } of armPoints(random, points, profile)) {
      arms[kind] = [...(arms[kind] ?? []), armed]
    }
    for (const lane of LANES) {
      const inLane = random.shuffle(names.filter((name) => faultOf(name).lane === lane))
      planned.push(...spread(random, inLane, profile, { fromMs: round * roundMs, forMs: roundMs }))
    }
  }
  return { seed, loadMs, arms, faults: planned.toSorted((a, b) => a.atMs - b.atMs) }
}

export const pointNames = Object.keys(killPoints) as KillPoint[]

/** Every fault and kill point that a plan holds, once. */
export function namesIn({ faults, arms }: Plan): string[] {
  const points = Object.values(arms).flat()
  return [...new Set([...faults.map(({ fault }) => fault), ...points.map(({ point }) => point)])]
}

function armPoints(random: Random, points: readonly KillPoint[], { armedForMs }: Profile) {
  return random.shuffle(points).map((point) => ({
    kind: killPoints[point],
    armed: {
      point,
      // A take-over happens once in a relay's life.
      count: point === 'after-take-over' ? 1 : random.between(1, COUNT_MOST),
      afterMs: point === 'after-take-over' ? 0 : random.between(armedForMs.least, armedForMs.most),
    },
  }))
}

function spread(
  random: Random,
  names: readonly FaultName[],
  profile: Profile,
  round: { fromMs: number; forMs: number },
): PlannedFault[] {
  const firstMs = round.fromMs + FIRST_SHARE * round.forMs
  const slotMs = ((LAST_SHARE - FIRST_SHARE) * round.forMs) / Math.max(1, names.length)
  return names.map((fault, index) => {
    const { kind, process } = faultOf(fault)
    return {
      fault,
      atMs: Math.round(firstMs + (index + 0.6 * random.next()) * slotMs),
      forMs: profile.lastsMs[kind] ?? 0,
      target: process ? `${process}-${random.between(1, processCounts[process])}` : '',
    }
  })
}
