/** Processor time by process: what a unit of work costs, however busy the machine is otherwise. Linux only. */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { nodeProcessesBelow, processesBelow } from './memory.ts'

/** `CLK_TCK`, which is 100 on every Linux that runs Node. */
const TICKS_PER_SECOND = 100
const READ_EVERY_MS = 500

/** Milliseconds by name. */
export type ProcessorTime = Record<string, number>

export interface ProcessorMeter {
  /** Used between the load's word that it measures and its end. */
  usedMs(): ProcessorTime
  /** The same per unit of work, with its sum, as a Markdown table. */
  table(units: number, unit: string): string
}

export interface MeteredSystem {
  /** Whose Node processes are metered each by its name, those below it included. */
  pid?: number
  /** Each with those below it as one. */
  serverPids: Record<string, number>
}

/** Waits until the load measures, and notes what it used until it ended: of every process of ours, of the servers, and of the load itself. */
export async function meterProcessor(
  system: MeteredSystem,
  load: { child: ChildProcess; measuring: Promise<void>; result: Promise<unknown> },
): Promise<ProcessorMeter> {
  const read = (): ProcessorTime => ({ ...processorTime(system), 'the load itself': usedMs(load.child.pid ?? 0) })
  await Promise.race([load.measuring, load.result])
  const before = read()
  let after = before
  // The load has gone when its result is there; what it used last is read while it still runs.
  const timer = setInterval(() => {
    after = read()
  }, READ_EVERY_MS)
  await load.result.finally(() => clearInterval(timer))
  after = { ...after, ...processorTime(system) }
  const used = Object.fromEntries(Object.entries(after).map(([name, ms]) => [name, ms - (before[name] ?? 0)]))
  return { usedMs: () => used, table: (units, unit) => processorTable(used, units, unit) }
}

function processorTime({ pid, serverPids }: MeteredSystem): ProcessorTime {
  const below = pid === undefined ? [] : nodeProcessesBelow(pid)
  const ours = below.map(({ name, pid: own }): [string, number] => [name, usedMs(own)])
  const servers = Object.entries(serverPids).map(([name, root]): [string, number] => {
    const children = processesBelow(root).filter((child) => child !== root)
    return [name, usedMs(root, { withEnded: true }) + children.reduce((sum, child) => sum + usedMs(child), 0)]
  })
  return Object.fromEntries([...ours, ...servers])
}

function processorTable(used: ProcessorTime, units: number, unit: string): string {
  const rows = Object.entries(used).map(([name, ms]): [string, number] => [name, ms / units])
  const sum = rows.reduce((total, [, ms]) => total + ms, 0)
  const lines = [...rows.sort(([, a], [, b]) => b - a), ['all', sum] as const]
  return [
    `| Processor time per ${unit} | ms |`,
    '| --- | ---: |',
    ...lines.map(([name, ms]) => `| ${name} | ${ms.toFixed(2)} |`),
  ].join('\n')
}

/** User and system time; withEnded: that of children which have ended, too. 0 for a process that is gone. */
function usedMs(pid: number, { withEnded = false } = {}): number {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return 0
  }
  // The name, in brackets, may hold anything; the third field follows it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, withEnded ? 15 : 13).reduce((sum, field) => sum + Number(field), 0)
  return (ticks / TICKS_PER_SECOND) * 1000
}
