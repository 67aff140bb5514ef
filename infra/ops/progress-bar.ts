/** How far a long command is: one line that is written over on a terminal, a line per tenth elsewhere. */

export interface ProgressBar {
  /** done: so far. more: said behind the figures. */
  show(done: number, more?: string): void
  /** Ends the line, so that what is said next begins a new one. */
  end(): void
}

const WIDTH = 24
const EVERY_MS = 100

/** total: of whatever is counted, 0 allowed; what: the counted things, 'rows'. */
export function createProgressBar(
  total: number,
  what: string,
  { write = (text: string) => void process.stderr.write(text), isTerminal = process.stderr.isTTY === true } = {},
): ProgressBar {
  let shownAt = Number.NEGATIVE_INFINITY
  let tenths = -1
  let isLineOpen = false
  const text = (done: number, more: string) => {
    const part = total === 0 ? 1 : Math.min(1, done / total)
    const filled = Math.floor(part * WIDTH)
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled)
    return `· ${bar} ${Math.floor(part * 100)} % · ${done} of ${total} ${what}${more && ` · ${more}`}`
  }
  return {
    show(done, more = '') {
      const tenth = total === 0 ? 10 : Math.floor((10 * done) / total)
      const isDue = isTerminal ? performance.now() - shownAt >= EVERY_MS || done >= total : tenth > tenths
      if (!isDue) return
      shownAt = performance.now()
      tenths = tenth
      isLineOpen = isTerminal
      // Back to the beginning of the line, and what stood behind the new text away.
      write(isTerminal ? `\r${text(done, more)}\u001b[K` : `${text(done, more)}\n`)
    },
    end() {
      if (isLineOpen) write('\n')
      isLineOpen = false
    },
  }
}
