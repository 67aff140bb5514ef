/** What an operator's command is. */
import type { Connections } from './connect.ts'
import type { Row } from './table.ts'

export interface Arguments {
  /** Positional arguments, as many as the command names. */
  values: readonly string[]
  tenant: string | undefined
  limit: number
  data: boolean
  /** Whether the operator has read what the command is about to do, and wants it. */
  yes: boolean
  /** Whether overlapping stays are imported as they are. */
  asIs?: boolean | undefined
  /** Where refused rows are written to. */
  refusedFile?: string | undefined
}

export interface Outcome {
  /** Shown as a table, or as JSON with --json. */
  rows?: readonly Row[]
  /** Said instead of an empty table. */
  none?: string
  /** Said after the rows, to stderr. */
  notes?: readonly string[]
  /** Exit code 0 when true (default), 1 otherwise. */
  isGood?: boolean
}

export interface Command {
  /** One word, or several that are given apart. */
  name: string
  /** Required positional arguments, then optional ones in brackets: `['<stream>', '[version]']`. */
  takes: readonly string[]
  help: string
  run(connections: Connections, args: Arguments): Promise<Outcome>
}

/** Of a list that was asked for with one row more than its limit: the rows up to it, and a note when there are more. */
export function firstRows<R extends Row>(found: readonly R[], limit: number, goOn = '--limit shows more') {
  const isCut = found.length > limit
  return { rows: found.slice(0, limit), notes: isCut ? [`the first ${limit}; ${goOn}`] : [] }
}
