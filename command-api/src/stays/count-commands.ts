/** Counts what became of the commands of stays: `stays_commands_total` by command and code. */
import type { Metrics } from '@portolan/infra/telemetry.ts'
import { type ProblemCode, Rejection } from '@portolan/schemas/errors.ts'
import type { Request, Response } from 'express'

type StayCommand = 'reserve' | 'cancel' | 'dates' | 'register' | 'describe' | 'retire' | 'load'
type Handler = (req: Request, res: Response) => Promise<void>

/** Notes one command. */
export type CountCommand = (command: StayCommand, code: ProblemCode | 'ok') => void

export function createCountCommand(metrics: Metrics): CountCommand {
  const counter = metrics.counter('stays_commands_total', 'Commands of stays by what became of them', [
    'command',
    'code',
  ])
  return (command, code) => counter.inc({ command, code })
}

/** A route behind its authentication, counted: `ok`, the code of its rejection, `internal-error` for anything else. A retry counts again. */
export function counted(deps: { countCommand: CountCommand }, command: StayCommand, handle: Handler): Handler {
  return async (req, res) => {
    let code: ProblemCode | 'ok' = 'internal-error'
    try {
      await handle(req, res)
      code = 'ok'
    } catch (error) {
      if (error instanceof Rejection) code = error.code
      throw error
    } finally {
      deps.countCommand(command, code)
    }
  }
}
