/**
 * `npm run generate [-- --check]`: everything in the repository that is generated from code. First the contracts
 * (schemas/generate.ts), then `.env.example` and the README's table of variables. With --check nothing is written, and what
 * is out of date is a failure.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { describeEntries, renderExample, renderTables, replaceTables, toSections } from './environment.ts'
import { ROOT } from './paths.ts'
import { runEntry, say } from './say.ts'

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const contracts = spawnSync(process.execPath, ['schemas/generate.ts', ...args], { cwd: ROOT, stdio: 'inherit' })
  if (contracts.status !== 0) return contracts.status ?? 1
  const sections = toSections(await describeEntries())
  const stale = [
    { path: '.env.example', text: renderExample(sections) },
    { path: 'README.md', text: replaceTables(read('README.md'), renderTables(sections)) },
  ].filter(({ path, text }) => read(path) !== text)
  if (args.includes('--check')) {
    for (const { path } of stale) say(`✗ ${path} is out of date: run npm run generate and commit.`)
    return stale.length === 0 ? 0 : 1
  }
  for (const { path, text } of stale) {
    writeFileSync(`${ROOT}/${path}`, text)
    say(`· ${path} written`)
  }
  return 0
}

function read(path: string): string {
  try {
    return readFileSync(`${ROOT}/${path}`, 'utf8')
  } catch {
    return '' // not there yet: stale like any other difference
  }
}

await runEntry(main)
