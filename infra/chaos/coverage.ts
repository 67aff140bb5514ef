/** Whether the runs of one invocation broke everything they were meant to break. */
import type { KillPoint } from '@portolan/infra/kill-points.ts'
import { type FaultName, faultNames } from './faults.ts'
import type { Injection } from './inject.ts'
import { type Plan, pointNames } from './plan.ts'
import type { SeedResult } from './run-seed.ts'

export interface Coverage {
  faults: { name: FaultName; injected: number; tookEffect: number }[]
  killPoints: { point: KillPoint; armed: number; reached: number }[]
  /** What a seed was meant to do and did not, one sentence each. */
  missed: string[]
  /** What no run of this invocation was meant to do: one seed of a split profile covers half of it. */
  unplanned: string[]
}

/** What a plan holds and its run did not do, one sentence each: everything is to be injected and to take effect in every run. */
export function missedBy(
  plan: Plan,
  done: { injections: readonly Injection[]; killPoints: SeedResult['killPoints'] },
): string[] {
  const faults = [...new Set(plan.faults.map(({ fault }) => fault))].flatMap((name) => {
    const found = done.injections.filter((one) => one.name === name)
    if (found.some(({ tookEffect }) => tookEffect)) return []
    return [`${name} ${found.length === 0 ? 'was never injected' : 'was injected and took no effect'}`]
  })
  const armed = Object.values(plan.arms).flat()
  const points = [...new Set(armed.map(({ point }) => point))].flatMap((name) => {
    const found = done.killPoints.find(({ point }) => point === name)
    if (found && found.reached > 0) return []
    return [`${name} was ${found ? 'armed and never reached' : 'never armed'}`]
  })
  return [...faults, ...points]
}

/** Over all results of an invocation. */
export function coverageOf(results: readonly SeedResult[]): Coverage {
  const faults = faultNames.map((name) => {
    const injections = results.flatMap((result) => result.injections.filter((one) => one.name === name))
    return { name, injected: injections.length, tookEffect: injections.filter((one) => one.tookEffect).length }
  })
  const killPoints = pointNames.map((point) => {
    const found = results.flatMap((result) => result.killPoints.filter((one) => one.point === point))
    const sum = (key: 'armed' | 'reached') => found.reduce((total, one) => total + one[key], 0)
    return { point, armed: sum('armed'), reached: sum('reached') }
  })
  const missed = results.flatMap((result) => result.missed.map((what) => `seed ${result.seed}: ${what}`))
  const planned = new Set(results.flatMap((result) => result.planned))
  const unplanned = [...faultNames, ...pointNames].filter((name) => !planned.has(name))
  return { faults, killPoints, missed, unplanned }
}
