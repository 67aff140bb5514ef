// The table "Who may import whom" of the style guide, and its proof: every import of the repository is read, and one that
// no row allows fails. Sabotage seen to fail: an import of a decider from another vertical, of command-api from workers by
// a relative path, and of kafkajs from the consumer.
import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { expect } from 'chai'

const ROOT = new URL('../..', import.meta.url).pathname.replace(/\/$/, '')
const PACKAGES = ['schemas', 'infra', 'command-api', 'workers', 'projections', 'query-api', 'migrations']
const PROCESSES = ['command-api', 'workers', 'projections', 'query-api']

/** What a file may import beside its own area. The first row whose area holds the file decides; patterns match repository paths. */
const TABLE: { area: RegExp; may: RegExp[] }[] = [
  { area: /^schemas\//, may: [] },
  // The language that belongs to no vertical: envelope, errors, topics, steps, catalogues.
  { area: /^infra\/src\//, may: [/^schemas\/src\/[^/]+\.ts$/] },
  { area: /^infra\/sandbox\//, may: [] },
  { area: /^infra\/edge\//, may: [/^schemas\/src\//, /^infra\/src\//] },
  // Connects to what the launcher brought up.
  { area: /^infra\/ops\//, may: [/^schemas\/src\//, /^infra\/src\//, /^infra\/launch\//] },
  // Brings everything up: it migrates, and it runs the edge in its own process.
  {
    area: /^infra\/launch\//,
    may: [/^schemas\/src\//, /^infra\/src\//, /^infra\/edge\//, /^migrations\/migrate\.ts$/],
  },
  // Processes only by spawning them; servers of their own the way the launcher starts them; the routing table to compare with.
  { area: /^infra\/(e2e|bench|chaos)\//, may: [/^schemas\/src\//, /^infra\/(src|launch|edge)\//] },
  ...PROCESSES.map((name) => ({ area: new RegExp(`^${name}/`), may: [/^schemas\/src\//, /^infra\/src\//] })),
  { area: /^migrations\//, may: [] },
]

interface Import {
  file: string
  /** As written. */
  specifier: string
  /** Repository path for a file of ours, null for a package of somebody else's. */
  target: string | null
  /** Erased before anything runs. */
  isTypeOnly: boolean
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s*)?['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/g

function importsOf(file: string): Import[] {
  const text = readFileSync(`${ROOT}/${file}`, 'utf8')
  return [...text.matchAll(IMPORT)].flatMap(([whole, from, dynamic]) => {
    const specifier = from ?? dynamic ?? ''
    const isTypeOnly = /^\s*(import|export)\s+type\s/.test(whole)
    // A template that writes an import is text.
    return specifier.includes('${') ? [] : [{ file, specifier, target: targetOf(file, specifier), isTypeOnly }]
  })
}

function targetOf(file: string, specifier: string): string | null {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(file), specifier)
  const [, name, path] = /^@portolan\/([^/]+)\/(.+)$/.exec(specifier) ?? []
  return name ? `${name}/src/${path}` : null
}

const areaOf = (path: string) => TABLE.find(({ area }) => area.test(path))

function isAllowed({ file, target }: Import): boolean {
  const row = areaOf(file)
  if (target === null) return true
  return row !== undefined && (row.area.test(target) || row.may.some((pattern) => pattern.test(target)))
}

/** The vertical a file belongs to: its folder below `src`, when the language has a folder of that name. */
function verticalOf(path: string): string | null {
  const [, folder] = /^[^/]+\/src\/([^/]+)\//.exec(path) ?? []
  return folder && VERTICALS.includes(folder) ? folder : null
}

const files = PACKAGES.flatMap((name) => globSync(`${name}/**/*.{ts,mts,mjs}`, { cwd: ROOT }))
  .filter((file) => !file.includes('node_modules/'))
  .sort()
const VERTICALS = globSync('schemas/src/*/messages.ts', { cwd: ROOT }).map((file) => file.split('/')[2] ?? '')
const imports = files.flatMap(importsOf)
const arrows = (found: Import[]) => found.map(({ file, specifier }) => `${file} → ${specifier}`)

describe('every import of the repository', () => {
  it('is read', () => {
    expect(imports.length).to.be.greaterThan(500)
    expect(VERTICALS).to.include.members(['bookings', 'tenants', 'staff'])
    expect(files.filter((file) => areaOf(file) === undefined && file !== 'infra/package.json')).to.deep.equal([])
  })

  it('of a file of ours leads to a file that exists', () => {
    const existing = new Set(files)
    const missing = imports.filter(({ target }) => target !== null && !existing.has(target))
    expect(arrows(missing.filter(({ target }) => !target?.endsWith('.json')))).to.deep.equal([])
  })

  it('is allowed by the table', () => {
    expect(arrows(imports.filter((each) => !isAllowed(each)))).to.deep.equal([])
  })

  it('reaches another package by its name, not by a path that climbs out of its own', () => {
    const climbing = imports.filter(
      ({ file, specifier, target }) =>
        specifier.startsWith('.') && target !== null && target.split('/')[0] !== file.split('/')[0],
    )
    // The launcher runs migrations, whose package exports nothing; generated contracts are read beside their generator.
    const unusual = climbing.filter(
      ({ file, target }) => !(/^infra\/launch\//.test(file) && target === 'migrations/migrate.ts'),
    )
    expect(arrows(unusual)).to.deep.equal([])
  })

  it("of one vertical in another's is of its messages, never of its decider or views", () => {
    const crossing = imports.filter(({ file, target }) => {
      const [own, other] = [verticalOf(file), target && verticalOf(target)]
      if (!target || !own || !other || own === other) return false
      return !target.startsWith('schemas/') || target.endsWith('/views.ts')
    })
    expect(arrows(crossing)).to.deep.equal([])
  })

  it('of kafkajs is in the Kafka port alone', () => {
    const users = imports.filter(({ specifier }) => /^kafkajs($|\/)/.test(specifier)).map(({ file }) => file)
    expect([...new Set(users)]).to.deep.equal(['infra/src/kafka.ts'])
  })

  it('of a package of somebody else is declared where it is used', () => {
    const manifestOf = (folder: string) => JSON.parse(readFileSync(`${ROOT}/${folder}package.json`, 'utf8'))
    const root = manifestOf('')
    const undeclared = imports.filter(({ file, specifier, target, isTypeOnly }) => {
      if (target !== null || isTypeOnly || specifier.startsWith('node:')) return false
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/')
      const { dependencies = {}, devDependencies = {} } = manifestOf(`${file.split('/')[0]}/`)
      const isTool = /(\.test|-spec|-fixture)\.ts$|^schemas\/(tools|generate)|\/(e2e|bench|testing)\//.test(file)
      return !(name in dependencies || name in devDependencies || (isTool && name in root.devDependencies))
    })
    expect(arrows(undeclared)).to.deep.equal([])
  })
})
