/**
 * `npm run bench -- <name> [arguments]`: runs one benchmark as a process of its own. What it prints passes through; where its
 * last line is JSON, that is its result and is kept in `reports/bench/<name>.json`.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { ROOT } from '../launch/paths.ts'
import { Obstacle, runEntry, say } from '../launch/say.ts'

const BENCHES: Record<string, { entry: string; measures: string }> = {
  B1: {
    entry: 'infra/bench/reserve.ts',
    measures: 'durable reservations/s over HTTP, against pgbench with the same inserts: B1 [seconds per run] [rounds]',
  },
  B1s: {
    entry: 'command-api/bench/handle-command.bench.ts',
    measures: 'commands/s of handle-command alone, against pgbench with the same inserts',
  },
  B2: {
    entry: 'infra/bench/freshness.ts',
    measures: 'command answered to visible over HTTP at 200 commands/s, hop by hop',
  },
  B3: {
    entry: 'infra/bench/search.ts',
    measures: 'searches of stays over a million properties: B3 [reservations, several with commas] [seconds per load]',
  },
  B8: {
    entry: 'infra/bench/sagas.ts',
    measures: 'booking sagas completed per second, against jobs that do nothing',
  },
  B10: {
    entry: 'infra/bench/cold-start.ts',
    measures: 'cold start and second start to the first confirmed booking, idle memory',
  },
  hot: {
    entry: 'infra/bench/hot-property.ts',
    measures: "100 clients for one property's next free night: hot [seconds per run]",
  },
  nights: {
    entry: 'infra/bench/nights.ts',
    measures: 'mechanisms that sell a night once, alone: nights [reservations] [mechanisms]',
  },
  rails: {
    entry: 'infra/bench/rails.ts',
    measures: 'relay alone and projections alone, in events per second',
  },
  soak: {
    entry: 'infra/bench/soak.ts',
    measures: 'memory of every process over an hour of steady load: soak [minutes] [bookings per second]',
  },
}

async function main(): Promise<number> {
  const [name = '', ...args] = process.argv.slice(2)
  const bench = BENCHES[name]
  if (!bench || !existsSync(`${ROOT}/${bench.entry}`)) {
    for (const [known, { measures }] of Object.entries(BENCHES)) say(`  ${known.padEnd(4)} ${measures}`)
    throw new Obstacle('Say which benchmark: `npm run bench -- B10`.')
  }
  warnOfOtherWork()
  const child = spawn(process.execPath, [bench.entry, ...args], { cwd: ROOT, stdio: ['inherit', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk)
    printed += chunk
  })
  // The terminal sends Ctrl-C to the benchmark as well, which cleans up after itself; we only wait for its end.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill())
  const code = await new Promise<number>((resolve) => child.once('close', (ending) => resolve(ending ?? 1)))
  if (code === 0) keepResult(name, printed.trimEnd().split('\n').at(-1) ?? '')
  return code
}

/** Ratios too: a yardstick with a hundred processes suffers more from company than a bench with one. */
function warnOfOtherWork(): void {
  const load = loadavg()[0] ?? 0
  const cores = availableParallelism()
  if (load > cores / 4)
    say(
      `! Other work keeps this machine busy (load ${load.toFixed(1)} on ${cores} cores): figures, ratios included, will be off.`,
    )
}

function keepResult(name: string, lastLine: string): void {
  try {
    JSON.parse(lastLine)
  } catch {
    return // it has written its file itself
  }
  mkdirSync(`${ROOT}/reports/bench`, { recursive: true })
  writeFileSync(`${ROOT}/reports/bench/${name}.json`, `${lastLine}\n`)
}

await runEntry(main)
