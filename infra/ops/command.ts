/** What an operator's command is. */
import type { Connections } from './connect.ts'
import type { Row } from './table.ts'

export interface Arguments {
  /** Positional arguments, as many as the command names. */
  values: readonly string[]
  tenant: string | undefined
  limit: number
  data: boolean
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
  name: string
  /** Required positional arguments, then optional ones in brackets: `['<stream>', '[version]']`. */
  takes: readonly string[]
  help: string
  run(connections: Connections, args: Arguments): Promise<Outcome>
}
