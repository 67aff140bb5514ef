/**
 * Ends this process when the one that started it is gone, even by kill -9, so that nobody is left listening on our
 * ports. Loaded with `node --import`, because the processes themselves know nothing of a launcher.
 *
 * Children of the launcher have a channel to it and see it close. The launcher itself, when npm started it, looks at
 * its parent and, since npm puts a shell between, at that one's parent. Both ways end in SIGTERM to ourselves: the
 * ordinary, graceful stop.
 */
import { readFileSync } from 'node:fs'

const STOP_WITHIN_MS = 20_000
const LOOK_EVERY_MS = 1000

function stopMyself(): void {
  process.kill(process.pid, 'SIGTERM')
  setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref()
}

/** Who started us and who started them; only the first where there is no /proc. */
function ancestors(): string {
  try {
    const [, grandparent] = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${process.ppid}/status`, 'utf8')) ?? []
    return `${process.ppid} ${grandparent}`
  } catch {
    return String(process.ppid)
  }
}

if (process.channel) {
  process.once('disconnect', stopMyself)
  process.channel.unref() // the listener must not keep a finished process alive
} else if (process.env.npm_lifecycle_event) {
  const known = ancestors()
  const timer = setInterval(() => {
    if (ancestors() === known) return
    clearInterval(timer)
    stopMyself()
  }, LOOK_EVERY_MS)
  timer.unref()
}
