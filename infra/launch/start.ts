/**
 * `npm start` and, with `--watch`, `npm run dev`. It ends on Ctrl-C, taking down what it brought up.
 *
 * A terminal sends Ctrl-C to npm and to us, and npm passes it on once more: signals close together count as one. A
 * later one means that somebody has lost patience.
 */
import './watch-parent.ts'
import { tryLock, unlock } from './lock.ts'
import { DATA } from './paths.ts'
import { Obstacle, runEntry, say } from './say.ts'
import { loadSettings } from './settings.ts'
import { createSystem } from './system.ts'

const SAME_SIGNAL_MS = 1500

async function main(): Promise<number> {
  const stopRequested = onFirstSignal(() => system.kill())
  loadSettings()
  const taken = tryLock(`${DATA}/start.lock`)
  if (taken !== true) {
    throw new Obstacle(
      `Portolan already runs from this folder (process ${taken}): use that one, or stop it with Ctrl-C there.`,
    )
  }
  const system = createSystem({ env: process.env, isWatching: process.argv.includes('--watch') })
  try {
    const isUp = await Promise.race([system.bringUp().then(() => true), stopRequested.then(() => false)])
    if (isUp) await stopRequested
    say('\n· stopping')
    await system.takeDown()
    say('· stopped; the data stays, `npm start` goes on with it')
    return 0
  } catch (error) {
    await system.takeDown()
    throw error
  } finally {
    unlock(`${DATA}/start.lock`)
  }
}

/** Resolves at the first signal; calls `onImpatience` and ends this process at a later one. */
function onFirstSignal(onImpatience: () => void): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined
    const onSignal = () => {
      firstAt ??= performance.now()
      resolve()
      if (performance.now() - firstAt < SAME_SIGNAL_MS) return
      onImpatience()
      process.exit(130)
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  })
}

await runEntry(main)
process.exit() // an abandoned start-up may still hold a timer or a socket
