/**
 * B1: durable reservations per second over HTTP, against pgbench with the same inserts on the same server.
 *
 *   npm run bench -- B1 [seconds per run, default 4] [rounds, default 5]
 *
 * Many short rounds, and medians of the rounds' ratios: what else the machine does disturbs a few of them and not the result. A round is: one command-api process, pgbench, two command-api processes, pgbench with positions from a sequence. Every request asks for a night
 * of its own. At the end every 200 must be one event and one bit, and there must be no others.
 */
import { availableParallelism, loadavg } from 'node:os'
import { Obstacle, runEntry, say } from '../launch/say.ts'
import { quantile } from './quantile.ts'
import { publish } from './report.ts'
import { type ReserveSystem, startReserveSystem } from './reserve-system.ts'
import { requireExpected, verifyReservations } from './reserve-verify.ts'
import { prepareYardstick, runYardstick, type YardstickRun } from './reserve-yardstick.ts'
import { withinProcess } from './within-process.ts'

const CLIENTS = 100
const PROPERTIES = 10_000
const WARM_UP_SECONDS = 2
const TARGET = 1

async function measure(stack: AsyncDisposableStack): Promise<void> {
  const [seconds = 4, rounds = 5] = process.argv.slice(2).map(Number)
  if (!(seconds > 0 && rounds > 0)) throw new Obstacle('Say it like `npm run bench -- B1 4 5`.')
  const loadBefore = loadavg()[0] ?? 0
  const system = await startReserveSystem(stack, { processes: 2, properties: PROPERTIES })
  await prepareYardstick(system)
  const reserve = createReserve(system)
  const yardstick = (positions: 'head' | 'sequence') =>
    runYardstick(system, { positions, clients: CLIENTS, seconds, properties: PROPERTIES })
  const runs = {
    one: [] as Reserved[],
    head: [] as YardstickRun[],
    two: [] as Reserved[],
    sequence: [] as YardstickRun[],
  }
  say('· compiling what is hot')
  await reserve({ clients: CLIENTS, processes: 2, seconds })
  for (let round = 1; round <= rounds; round++) {
    say(`· round ${round} of ${rounds}`)
    runs.one.push(await reserve({ clients: CLIENTS, processes: 1, seconds }))
    runs.head.push(await yardstick('head'))
    runs.two.push(await reserve({ clients: CLIENTS, processes: 2, seconds }))
    runs.sequence.push(await yardstick('sequence'))
  }
  const alone = await reserve({ clients: 1, processes: 1, seconds: Math.min(seconds, 5) })
  const { answered } = await verifyReservations(system, { withKeys: true })
  const rows = {
    'command-api over HTTP': runs.one,
    'pgbench, positions in commit order': runs.head,
    'two command-api processes': runs.two,
    'pgbench, positions from a sequence': runs.sequence,
  }
  const ratio = ratioOf(runs.one, runs.head)
  const twoToOne = ratioOf(runs.two, runs.one)
  publish({
    bench: 'B1',
    conditions: [
      ...system.conditions,
      `${PROPERTIES} properties; an idempotency key with every request; ${CLIENTS} clients in a closed loop, load and pgbench processes of their own; ${rounds} rounds of ${seconds} s after ${WARM_UP_SECONDS} s of warm-up`,
      `verified: each of the ${answered} answers with 200 is one event, one night and one idempotency record, and there are no others`,
      `load average of the machine before the start: ${loadBefore.toFixed(1)} on ${availableParallelism()} cores`,
    ],
    figures: [
      { what: 'command-api ÷ pgbench', value: ratio, unit: 'ratio', target: `≥ ${TARGET}`, isMet: ratio >= TARGET },
      { what: 'two processes ÷ one', value: twoToOne, unit: 'ratio' },
    ],
    table: [
      '| Medians | reservations/s | ratio | p50 ms | p99 ms |',
      '| --- | ---: | ---: | ---: | ---: |',
      ...Object.entries(rows).map(([name, of]) => {
        const cells = [median(of, 'perSecond').toFixed(0), ratioOf(of, runs.head).toFixed(2)]
        return `| ${[name, ...cells, median(of, 'p50Ms').toFixed(1), median(of, 'p99Ms').toFixed(1)].join(' | ')} |`
      }),
      `| command-api, one client | ${alone.perSecond.toFixed(0)} | | ${alone.p50Ms.toFixed(1)} | ${alone.p99Ms.toFixed(1)} |`,
      '',
      `Target: ratio ≥ ${TARGET}, ${ratio >= TARGET ? 'met' : 'missed'}. Two processes ÷ one: ${twoToOne.toFixed(2)}.`,
      '',
      runs.one.at(-1)?.processor,
      '',
      'The same with two processes:',
      '',
      runs.two.at(-1)?.processor,
    ].join('\n'),
    details: { runs, alone },
  })
}

interface Reserved extends YardstickRun {
  /** Processor time per reservation, as a table. */
  processor: string
}

/** Runs loads one after the other, none of which asks for a night of an earlier one. */
function createReserve(system: ReserveSystem) {
  let from = 0
  return async (options: { clients: number; processes: number; seconds: number }): Promise<Reserved> => {
    const result = await system.load({ ...options, kind: 'own', withKeys: true, warmUpSeconds: WARM_UP_SECONDS, from })
    from = result.until
    requireExpected(result)
    if (result.notAvailablePerSecond > 0) throw new Obstacle('A free night was refused: this run has no figures.')
    const { acceptedPerSecond: perSecond, p50Ms, p99Ms, answered, processor } = result
    return { perSecond, p50Ms, p99Ms, processor: processor.table(answered, 'reservation') }
  }
}

const median = (runs: readonly YardstickRun[], of: keyof YardstickRun) =>
  quantile(
    runs.map((run) => run[of]),
    0.5,
  )

/** Of the rates of each round, the one in the middle. */
function ratioOf(runs: readonly YardstickRun[], to: readonly YardstickRun[]): number {
  return quantile(
    runs.map(({ perSecond }, round) => perSecond / (to[round]?.perSecond ?? Number.NaN)),
    0.5,
  )
}

await runEntry(() => withinProcess(measure))
