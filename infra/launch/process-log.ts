/** The log of one of our processes: JSON lines of its own, and whatever Node printed. What the launcher reads from it, and its bound. */
import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync } from 'node:fs'
import { copyFile, stat, truncate } from 'node:fs/promises'

const TAIL_BYTES = 64 * 1024

/** Before a run: the log of the run before becomes `<log>.1`. */
export function beginLog(log: string): void {
  if (existsSync(log)) renameSync(log, `${log}.1`)
}

/**
 * During a run: a log of more than `bytesMax` becomes `<log>.1`. It is copied and emptied, not renamed, because its process goes on
 * writing into the open file; a line written between the two is lost, which is why this is rare and not the way at a start. Rejects when the
 * file system refuses one of them.
 */
export async function boundLog(log: string, bytesMax: number): Promise<void> {
  if (!existsSync(log) || (await stat(log)).size <= bytesMax) return
  await copyFile(log, `${log}.1`)
  await truncate(log)
}

/** Address from the newest ready line of a log, or undefined while there is none. */
export function readyUrl(log: string): string | undefined {
  for (const line of tailOf(log).reverse()) {
    const { message, url } = parseLine(line)
    if (message === 'ready' && typeof url === 'string') return url
  }
  return undefined
}

/** The newest error of a log in one line; empty when it holds none. */
export function lastError(log: string): string {
  for (const line of tailOf(log).reverse()) {
    const { level, message, error, problems } = parseLine(line)
    if (level === 'error') return oneLine(problems?.join('; ') ?? error?.message ?? String(message))
    const thrown = /^(\w*Error(?: \[\w+\])?: .*)/.exec(line)?.[1]
    if (thrown) return thrown
  }
  return ''
}

const oneLine = (text: string) => text.trim().replaceAll(/\s*\n\s*/g, '; ')

/** Lines of the last 64 kB: enough for the newest error. */
function tailOf(log: string): string[] {
  if (!existsSync(log)) return []
  const file = openSync(log, 'r')
  try {
    const { size } = fstatSync(file)
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES))
    readSync(file, buffer, 0, buffer.length, size - buffer.length)
    return buffer.toString().split('\n').filter(Boolean)
  } finally {
    closeSync(file)
  }
}

type LogLine = { level?: unknown; message?: unknown; url?: unknown; error?: { message?: string }; problems?: string[] }

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line)
  } catch {
    return {}
  }
}
