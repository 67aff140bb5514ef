/**
 * Memory of processes as PSS: pages of its own, and its share of pages that several processes map. Unlike RSS it can be
 * added up. Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'

export interface ProcessMemory {
  pid: number
  /** `command-api`, `relay` …; `npm` for npm itself. */
  name: string
  pssMb: number
}

/** The Node processes that descend from `root`, `root` included. Those that end meanwhile are left out. */
export function nodeProcessesBelow(root: number): ProcessMemory[] {
  return processesBelow(root).flatMap((pid) => measure(pid) ?? [])
}

export interface FollowedProcesses {
  /** Memory of those that still run. */
  measure(): ProcessMemory[]
  /** Names of those that were found to have ended, even if others run in their place by now. */
  ended(): readonly string[]
}

/** Follows the Node processes that descend from `root` now. One that is started again later is another one. */
export function followProcessesBelow(root: number): FollowedProcesses {
  const followed = new Map(nodeProcessesBelow(root).map(({ pid, name }) => [pid, name]))
  const ended: string[] = []
  const measureOrMiss = (pid: number, name: string) => {
    const measured = measure(pid)
    if (measured) return measured
    followed.delete(pid)
    ended.push(name)
    return []
  }
  return { measure: () => [...followed].flatMap(([pid, name]) => measureOrMiss(pid, name)), ended: () => ended }
}

/** Ids of the processes that descend from `root`, `root` first. */
export function processesBelow(root: number): number[] {
  const children = Map.groupBy(allProcesses(), ({ parent }) => parent)
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap((child) => below(child.pid))]
  return below(root)
}

function allProcesses(): { pid: number; parent: number }[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) => {
    const parent = /\nPPid:\t(\d+)/.exec(readIfThere(`/proc/${pid}/status`))?.[1]
    return parent === undefined ? [] : [{ pid: Number(pid), parent: Number(parent) }]
  })
}

function measure(pid: number): ProcessMemory | undefined {
  const args = readIfThere(`/proc/${pid}/cmdline`).split('\0')
  const kilobytes = /\nPss:\s+(\d+) kB/.exec(readIfThere(`/proc/${pid}/smaps_rollup`))?.[1]
  const name = nameOf(args)
  return name && kilobytes ? { pid, name, pssMb: Number(kilobytes) / 1024 } : undefined
}

/** What a command line runs; undefined for anything but Node. */
function nameOf(args: readonly string[]): string | undefined {
  if (/^npm\b/.test(args[0] ?? '')) return 'npm' // npm writes its own title over its command line
  if (basename(args[0] ?? '') !== 'node') return undefined
  const entry = args.find((arg, i) => /\.(ts|mjs|js)$/.test(arg) && i > 0 && args[i - 1] !== '--import')
  if (!entry) return 'node'
  if (entry.endsWith('npm-cli.js')) return 'npm'
  if (/launch\/(bootstrap\.mjs|start\.ts)$/.test(entry)) return 'launcher and edge'
  const sandbox = /sandbox\/main-(\w+)\.ts$/.exec(entry)?.[1]
  if (sandbox) return `sandbox-${sandbox}`
  return /([\w-]+)\/src\/main\.ts$/.exec(entry)?.[1] ?? basename(entry, '.ts')
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // ended between listing and reading
  }
}
