import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { expect } from 'chai'
import { DATA, ROOT } from './paths.ts'
import { waitUntil } from './wait.ts'
import { watchSources } from './watch-sources.ts'

describe('watched sources', () => {
  let folder: string
  let changes: number
  let stop: () => void

  beforeEach(() => {
    mkdirSync(DATA, { recursive: true })
    folder = mkdtempSync(`${DATA}/watched-`)
    changes = 0
    stop = watchSources([folder.slice(ROOT.length + 1), 'no/such/folder'], () => {
      changes += 1
    })
  })
  afterEach(() => {
    stop()
    rmSync(folder, { recursive: true })
  })

  it('report a burst of changes once', async () => {
    for (const name of ['a.ts', 'b.ts', 'c.ts']) writeFileSync(`${folder}/${name}`, '')
    expect(await waitUntil(() => changes > 0, { withinMs: 5000 })).to.equal(true)
    expect(changes).to.equal(1)
  })

  it('report no test and nothing that is no source', async () => {
    writeFileSync(`${folder}/a.unit.test.ts`, '')
    writeFileSync(`${folder}/notes.md`, '')
    // The source written last is what is waited for; anything before it would have been a report of its own or with it.
    expect(await waitUntil(() => changes > 0, { withinMs: 600 })).to.equal(undefined)
    writeFileSync(`${folder}/a.ts`, '')
    expect(await waitUntil(() => changes > 0, { withinMs: 5000 })).to.equal(true)
  })
})
