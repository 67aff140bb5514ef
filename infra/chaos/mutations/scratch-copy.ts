/** A copy of the product in a folder of its own, to be broken: sources copied, packages of others linked, packages of ours its own. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../launch/paths.ts'

const run = promisify(execFile)

export interface ScratchCopy {
  root: string
  dispose(): void
}

/** Copies what git knows and does not ignore, as it stands, and applies the patch. Rejects when the patch does not apply. */
export async function scratchCopy(patch: string): Promise<ScratchCopy> {
  const root = mkdtempSync('/var/tmp/portolan-mutation-')
  const dispose = () => rmSync(root, { recursive: true, force: true })
  try {
    const { stdout } = await run('git', ['ls-files', '-co', '--exclude-standard', '--deduplicate', '-z'], { cwd: ROOT })
    const files = stdout.split('\0').filter((file) => file !== '')
    for (const file of files) {
      mkdirSync(dirname(`${root}/${file}`), { recursive: true })
      // A file that was removed and not yet committed is listed and gone.
      cpSync(`${ROOT}/${file}`, `${root}/${file}`, { errorOnExist: false, force: true, recursive: false })
    }
    linkPackages(root)
    await run('git', ['apply', '--whitespace=nowarn', patch], {
      cwd: root,
      env: { ...process.env, GIT_DIR: '/dev/null' },
    })
    return { root, dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

/** Ours must be the copy's, or a process would load half of the original. */
function linkPackages(root: string): void {
  mkdirSync(`${root}/node_modules/@portolan`, { recursive: true })
  for (const name of readdirSync(`${ROOT}/node_modules`)) {
    if (name !== '@portolan') symlinkSync(`${ROOT}/node_modules/${name}`, `${root}/node_modules/${name}`)
  }
  for (const name of readdirSync(`${ROOT}/node_modules/@portolan`)) {
    symlinkSync(`${root}/${name}`, `${root}/node_modules/@portolan/${name}`)
  }
}
