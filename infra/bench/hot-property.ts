/**
 * 100 clients who all want the next free night of one property: how many nights are sold per second, and how many requests refused.
 *
 *   npm run bench -- hot [seconds per run, default 10]
 *
 * With idempotency keys a refusal is recorded too, which is a commit of its own; so there are runs with and without them. At the end every night
 * that was asked for must have been sold exactly once.
 */
import { availableParallelism, loadavg } from 'node:os'
import { Obstacle, runEntry, say } from '../launch/say.ts'
import { publish } from './report.ts'
import type { ReserveLoadResult } from './reserve-load.ts'
import { startReserveSystem } from './reserve-system.ts'
import { requireExpected, verifyReservations } from './reserve-verify.ts'
import { withinProcess } from './within-process.ts'

const CLIENTS = 100
const WARM_UP_SECONDS = 2

async function measure(stack: AsyncDisposableStack): Promise<void> {
  const [seconds = 10] = process.argv.slice(2).map(Number)
  if (!(seconds > 0)) throw new Obstacle('Say it like `npm run bench -- hot 10`.')
  const loadBefore = loadavg()[0] ?? 0
  const system = await startReserveSystem(stack, { processes: 2, properties: 1 })
  let from = 0
  const run = async (processes: number, withKeys: boolean, forSeconds: number): Promise<ReserveLoadResult> => {
    const { processor: _, ...result } = await system.load({
      clients: CLIENTS,
      processes,
      seconds: forSeconds,
      warmUpSeconds: WARM_UP_SECONDS,
      kind: 'hot',
      withKeys,
      from,
    })
    requireExpected(result)
    from = result.until
    return result
  }
  // Both processes have compiled what is hot before the first figure, or the order of the runs would show.
  await run(2, true, WARM_UP_SECONDS)
  const measured: { name: string; result: ReserveLoadResult }[] = []
  for (const withKeys of [false, true])
    for (const processes of [1, 2]) {
      const name = `${processes === 1 ? 'one process' : 'two processes'}, ${withKeys ? 'with' : 'without'} keys`
      say(`· ${name}`)
      measured.push({ name, result: await run(processes, withKeys, seconds) })
    }
  const { nights } = await verifyReservations(system, { withKeys: false })
  if (nights !== from) throw new Obstacle(`${from} nights were asked for and ${nights} sold: this run has no figures.`)
  publish({
    bench: 'hot',
    conditions: [
      ...system.conditions,
      `${CLIENTS} clients in a closed loop, all asking for the same next night of one property; ${seconds} s each after ${WARM_UP_SECONDS} s of warm-up`,
      `verified: each of the ${nights} nights that were asked for was sold once`,
      `load average of the machine before the start: ${loadBefore.toFixed(1)} on ${availableParallelism()} cores`,
    ],
    figures: [],
    table: [
      '| | accepted/s | rejected/s | p50 ms | p99 ms |',
      '| --- | ---: | ---: | ---: | ---: |',
      ...measured.map(
        ({ name, result: { acceptedPerSecond, notAvailablePerSecond, p50Ms, p99Ms } }) =>
          `| ${name} | ${acceptedPerSecond.toFixed(0)} | ${notAvailablePerSecond.toFixed(0)} | ${p50Ms.toFixed(1)} | ${p99Ms.toFixed(1)} |`,
      ),
    ].join('\n'),
    details: { measured },
  })
}

await runEntry(() => withinProcess(measure))
