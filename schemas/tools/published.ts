/** What is already published below `schemas/`: the files of the work tree, and those of another git ref where there is one. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const schemasFolder = fileURLToPath(new URL('..', import.meta.url))

/** Published files by path relative to the folder they were read from, as text. */
export type Files = ReadonlyMap<string, string>

/** Event schemas or samples of the work tree. folder: `json` or `samples`. Empty when there is none yet. */
export function filesOfWorkTree(folder: string): Files {
  const root = `${schemasFolder}${folder}`
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(isVersionFile)
  return new Map(paths.map((path) => [path.replaceAll('\\', '/'), readFileSync(`${root}/${path}`, 'utf8')]))
}

/** The same files as they are at a git ref; empty without git or without such a ref. */
export function filesAtRef(ref: string, folder: string): Files {
  const listed = git('ls-tree', '-r', '--name-only', ref, '--', folder)
  const paths = (listed ?? '').split('\n').filter(isVersionFile)
  return new Map(
    paths.flatMap((path) => {
      const text = git('show', `${ref}:./${path}`)
      return text === undefined ? [] : [[path.slice(folder.length + 1), text] as const]
    }),
  )
}

/**
 * The ref that holds what others already rely on, seen from a branch: `main`. Undefined on main itself, where the work tree is the
 * published state, and outside a repository.
 */
export function publishedRef(): string | undefined {
  const branch = git('rev-parse', '--abbrev-ref', 'HEAD')?.trim()
  if (branch === undefined || branch === 'main') return undefined
  return ['origin/main', 'main'].find((ref) => git('rev-parse', '--verify', '--quiet', ref) !== undefined)
}

function isVersionFile(path: string): boolean {
  return /\.v\d+\.json$/.test(path)
}

function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: schemasFolder, encoding: 'utf8', maxBuffer: 64_000_000 })
  return status === 0 ? stdout : undefined
}
