/**
 * `npm run generate [-- --check]`: writes the JSON Schemas of all event versions, openapi.json and asyncapi.json to schemas/json.
 * A published event version that changed incompatibly is refused, and nothing is written. With --check nothing is ever written:
 * differences between the code and the committed files are failures.
 *
 * To change an event: leave its last version as it is, add the new shape as a further version with an upcaster in `messages.ts`,
 * generate, and add a golden sample below schemas/samples.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { generatedFiles, refusals, unloadableSamples } from './tools/contracts.ts'
import { filesAtRef, filesOfWorkTree, publishedRef, schemasFolder } from './tools/published.ts'

const target = `${schemasFolder}json`
const remedy =
  'Add a further version with an upcaster instead (schemas/src/event-catalogue.ts). Only an event that was never released may be ' +
  'changed in place: delete its file below schemas/json first.'

function main(args: readonly string[]): number {
  const unknown = args.find((arg) => arg !== '--check')
  if (unknown) return fail([`Unknown argument "${unknown}": the only one is --check.`])
  mkdirSync(target, { recursive: true })
  const ref = publishedRef()
  const published = (folder: string) => [filesOfWorkTree(folder), ...(ref ? [filesAtRef(ref, folder)] : [])]
  const refused = new Set([
    ...published('json').flatMap((files) => refusals(files)),
    ...published('samples').flatMap((files) => unloadableSamples(files)),
  ])
  if (refused.size > 0) return fail([...refused, remedy])

  const stale = [...generatedFiles()].filter(([path, text]) => readIfPresent(`${target}/${path}`) !== text)
  if (args.includes('--check')) {
    if (stale.length === 0) return say('Generated contracts are up to date.')
    return fail([...stale.map(([path]) => `schemas/json/${path} is out of date.`), 'Run npm run generate and commit.'])
  }
  for (const [path, text] of stale) {
    mkdirSync(dirname(`${target}/${path}`), { recursive: true })
    writeFileSync(`${target}/${path}`, text)
  }
  return say(`${stale.length} generated files written.`)
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // not generated yet: stale like any other difference
  }
}

function say(sentence: string): number {
  process.stdout.write(`${sentence}\n`)
  return 0
}

function fail(sentences: readonly string[]): number {
  for (const sentence of sentences) process.stderr.write(`✗ ${sentence}\n`)
  return 1
}

process.exitCode = main(process.argv.slice(2))
