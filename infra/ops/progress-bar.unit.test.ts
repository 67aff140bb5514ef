import { expect } from 'chai'
import { createProgressBar } from './progress-bar.ts'

function shown(total: number, isTerminal: boolean, steps: number[]): string[] {
  const written: string[] = []
  const bar = createProgressBar(total, 'rows', { write: (text) => void written.push(text), isTerminal })
  for (const step of steps) bar.show(step, 'none refused')
  bar.end()
  return written
}

describe('a progress bar', () => {
  it('writes a line per tenth where nobody could write over it', () => {
    const lines = shown(
      1000,
      false,
      Array.from({ length: 100 }, (_, nth) => 10 * (nth + 1)),
    )
    expect(lines).to.have.length(11)
    expect(lines[5]).to.equal(`· ${'█'.repeat(12)}${'░'.repeat(12)} 50 % · 500 of 1000 rows · none refused\n`)
    expect(lines.at(-1)).to.include(' 100 % · 1000 of 1000 rows')
  })

  it('writes over its line on a terminal, shows the end, and leaves the line', () => {
    const written = shown(1000, true, [1, 2, 3, 1000])
    expect(written).to.have.length(3)
    expect(written[1]).to.match(/^\r· █{24} 100 % /)
    expect(written.at(-1)).to.equal('\n')
  })

  it('is full when there is nothing to do', () => {
    expect(shown(0, false, [0])).to.deep.equal([`· ${'█'.repeat(24)} 100 % · 0 of 0 rows · none refused\n`])
  })
})
