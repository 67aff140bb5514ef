/**
 * Ends this process when the one that started it is gone, even by kill -9, so that nobody is left listening on our
 * ports. Loaded with `node --import`, because the processes themselves know nothing of a launcher.
 *
 * Children of the launcher have a channel to it and see it close. The launcher itself, when npm started it, has only
 * its parent's number to look at. Both ways end in SIGTERM to ourselves: the ordinary, graceful stop.
 */
const STOP_WITHIN_MS = 15_000

function stopMyself(): void {
  process.kill(process.pid, 'SIGTERM')
  setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref()
}

if (process.channel) {
  process.once('disconnect', stopMyself)
  process.channel.unref() // the listener must not keep a finished process alive
} else if (process.env.npm_lifecycle_event) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    stopMyself()
  }, 1000)
  timer.unref()
}
