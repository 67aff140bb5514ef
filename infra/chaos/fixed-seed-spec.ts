/**
 * The short profile as a test, by the command that people use: two neighbouring seeds break everything that fits (plan.unit.test.ts), a
 * file each, since a file's time is limited.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { ROOT } from '../launch/paths.ts'
import type { SeedResult } from './run-seed.ts'

const run = promisify(execFile)
/** A seed that takes longer is stopped, and what it started with it: four times what it takes on a quiet machine. */
const GIVE_UP_AFTER_MS = 300_000
const STOPPED_WITHIN_MS = 30_000

export function keepsPromisesUnderFire(seed: number): void {
  describe(`the whole system under fire (seed ${seed})`, function () {
    this.timeout(GIVE_UP_AFTER_MS + STOPPED_WITHIN_MS)

    it('keeps its promises', async () => {
      const folder = mkdtempSync(`${tmpdir()}/portolan-seed-`)
      try {
        const file = `${folder}/result.json`
        const args = ['infra/chaos/main.ts', '--seed', String(seed), '--profile', 'short', '--json', file]
        const { code, stdout } = await run(process.execPath, args, { cwd: ROOT, timeout: GIVE_UP_AFTER_MS }).then(
          (ended) => ({ ...ended, code: 0 }),
          (failure: { code: number | null; stdout: string }) => failure,
        )
        if (code !== 0) console.log(stdout)
        const bad = stdout.split('\n').filter((line) => /^(VIOLATED|MISSED): /.test(line))
        expect(code, `${bad.join('; ')}; again: npm run chaos -- --seed ${seed} --profile short`).to.equal(0)
        const { results } = JSON.parse(readFileSync(file, 'utf8')) as { results: SeedResult[] }
        expect(results[0]?.commands.ended).to.be.greaterThan(30)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    })
  })
}
