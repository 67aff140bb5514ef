/**
 * B10: how long a newcomer waits. `npm start` in a fresh clone to the first confirmed booking, the same again, and the
 * memory of our processes when nothing happens.
 */
import { loadavg } from 'node:os'
import { runEntry, say } from '../launch/say.ts'
import { bookFirstFlight } from './first-booking.ts'
import { createInstallation, type Installation } from './installation.ts'
import { nodeProcessesBelow, type ProcessMemory } from './memory.ts'
import { type Figure, publish } from './report.ts'
import { withinProcess } from './within-process.ts'

const IDLE_SECONDS = 30
/** As many as the demo tenant's limits allow within a minute, with room to spare. */
const FURTHER_BOOKINGS = 15
const SECOND_START_TARGET_S = 20
const MEMORY_TARGET_MB = 500

async function measure(stack: AsyncDisposableStack): Promise<void> {
  const loadBefore = loadavg()[0] ?? 0
  say('· cloning, starting a Postgres and a Redis for the benchmark')
  const installation = await createInstallation(stack)
  say('· cold start: npm start in a fresh clone, with empty caches of npm and Maven')
  const cold = await startAndBook(installation, 'cold start')
  await cold.stop()
  say('· second start')
  const second = await startAndBook(installation, 'second start')
  const memory = await memoryAtRest(second.pid)
  for (let i = 0; i < FURTHER_BOOKINGS; i++) await bookFirstFlight(installation.url)
  const memoryAfterUse = await memoryAtRest(second.pid)
  await second.stop()
  publish({
    bench: 'B10',
    conditions: [
      `load average of the machine before the start: ${loadBefore.toFixed(1)}`,
      "cold: fresh clone without node_modules, empty caches of npm and Maven, so the network's and the registries' speed is part of it",
      'Postgres and Redis run before the clock starts, empty; Kafka is fetched and started by npm start',
      'second: the same clone again, data and caches as the first start left them',
      `memory: PSS ${IDLE_SECONDS} s after the booking of the second start; without Kafka, Postgres, Redis, the stand-ins and npm`,
    ],
    figures: [
      ...cold.figures,
      ...second.figures,
      ...memoryFigures(memory),
      {
        what: `the same, ${FURTHER_BOOKINGS} bookings later`,
        value: sum(memoryAfterUse.filter(isCounted)),
        unit: 'MB',
      },
    ],
    details: { cold: cold.progress, second: second.progress, memory, memoryAfterUse },
  })
}

async function startAndBook(installation: Installation, name: string) {
  const running = await installation.start()
  const readySeconds = (performance.now() - running.startedAt) / 1000
  await bookFirstFlight(installation.url)
  const bookedSeconds = (performance.now() - running.startedAt) / 1000
  const isSecond = name === 'second start'
  const figures: Figure[] = [
    { what: `${name} to ready`, value: readySeconds, unit: 's' },
    {
      what: `${name} to first confirmed booking`,
      value: bookedSeconds,
      unit: 's',
      ...(isSecond && { target: `≤ ${SECOND_START_TARGET_S} s`, isMet: bookedSeconds <= SECOND_START_TARGET_S }),
    },
  ]
  say(`· ${name}: ready after ${readySeconds.toFixed(1)} s, booked after ${bookedSeconds.toFixed(1)} s`)
  return { ...running, figures }
}

async function memoryAtRest(pid: number): Promise<ProcessMemory[]> {
  say(`· letting it rest for ${IDLE_SECONDS} s`)
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000))
  return nodeProcessesBelow(pid)
}

const isCounted = ({ name }: ProcessMemory) => name !== 'npm' && !name.startsWith('sandbox-')
const sum = (list: readonly ProcessMemory[]) => list.reduce((total, { pssMb }) => total + pssMb, 0)

/** The sum over our processes, then each one's share; stand-ins and npm are shown but not counted. */
function memoryFigures(memory: readonly ProcessMemory[]): Figure[] {
  const ours = memory.filter(isCounted)
  const row = ({ name, pssMb }: ProcessMemory, note = '') => ({
    what: `… ${name}${note}`,
    value: pssMb,
    unit: 'MB' as const,
  })
  return [
    {
      what: 'idle memory of our processes',
      value: sum(ours),
      unit: 'MB',
      target: `≤ ${MEMORY_TARGET_MB} MB`,
      isMet: sum(ours) <= MEMORY_TARGET_MB,
    },
    ...ours.map((process) => row(process)),
    ...memory.filter((process) => !isCounted(process)).map((process) => row(process, ' (not counted)')),
  ]
}

await runEntry(() => withinProcess(measure))
