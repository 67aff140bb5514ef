import { readFileSync } from 'node:fs'
import type { InjectedFault, Judgement } from './evidence.ts'
import type { Fleet, Incarnation } from './fleet.ts'

/** How long after a server is back a start that began without it may still fail. */
const afterServerMs = 10_000
const isOfServer = ({ kind }: InjectedFault) => /^(kafka|redis|postgres)-/.test(kind) || kind === 'restore'

/** No process ended by itself, unless it could not start while a server was away; and none met an error that nobody caught. */
export function nobodyFails(fleet: Fleet, faults: readonly InjectedFault[]): Judgement & { name: string } {
  const violations = fleet.incarnations().flatMap((one) => {
    const log = readFileSync(fleet.logOf(one), 'utf8')
    const lines = log.split('\n')
    const uncaught = lines.filter((line) => /"message":"(uncaught error|unhandled rejection|stop failed)"/.test(line))
    const couldNotStart = log.includes('"message":"start failed"') && metServerFault(one, faults)
    const isByItself = one.ending !== null && !one.wasEnded && !one.reached && !couldNotStart
    return [
      ...uncaught.map((line) => `${one.process}.${one.number}: ${line.slice(0, 600)}`),
      ...(isByItself && uncaught.length === 0
        ? [`${one.process}.${one.number} ended by itself (${one.ending}): ${lines.slice(-3).join(' ').slice(0, 600)}`]
        : []),
    ]
  })
  return { name: 'nobody-fails', violations: violations.map((what) => ({ what })), notes: [] }
}

/** Whether a server that the process needs was away in its life, or shortly before. */
function metServerFault({ startedAt, endedAt }: Incarnation, faults: readonly InjectedFault[]): boolean {
  return faults
    .filter(isOfServer)
    .some(
      ({ from, until }) => from <= (endedAt ?? '9999') && Date.parse(until) + afterServerMs >= Date.parse(startedAt),
    )
}
