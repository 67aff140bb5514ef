/**
 * Mutations: patches that break one promise each, so that a laboratory that finds nothing can be told from one that cannot find
 * anything. A patch file begins with its own description, which `git apply` ignores:
 *
 *   Promises: P7
 *   Breaks: a claim is granted although another execution holds it
 *   Interleaving: two executions of one attempt must run at the same time; one after the other is refused by the state
 *   Faults: duplicate-jobs, pause-workers
 *
 * A mutation counts as caught when an invariant of one of its promises objects. `Interleaving` is `no` where any sequential test would fail as well. `Faults` names the faults and kill points that bring it out.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Mutation {
  /** `p07-no-claim` */
  name: string
  /** Absolute path of the patch. */
  file: string
  promises: string[]
  breaks: string
  /** Why no sequential test would notice; null when one would. */
  interleaving: string | null
  /** Names of faults and kill points. */
  faults: string[]
}

const FOLDER = fileURLToPath(new URL('.', import.meta.url))

/** All mutations, by name. Throws when a patch lacks a part of its description. */
export function readMutations(): Mutation[] {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.patch'))
  return files.sort().map((file) => readMutation(file, readFileSync(`${FOLDER}${file}`, 'utf8')))
}

/** The description at the head of a patch. */
export function readMutation(file: string, text: string): Mutation {
  const head = text.slice(0, text.indexOf('diff --git'))
  const part = (name: string): string => {
    const found = new RegExp(`^${name}: (.+(?:\\n {2}.+)*)`, 'm').exec(head)?.[1]
    if (!found) throw new Error(`${file} does not say ${name}`)
    return found.replaceAll(/\n {2}/g, ' ')
  }
  const interleaving = part('Interleaving')
  return {
    name: file.replace(/\.patch$/, ''),
    file: `${FOLDER}${file}`,
    promises: part('Promises').split(/,\s*/),
    breaks: part('Breaks'),
    interleaving: interleaving === 'no' ? null : interleaving,
    faults: part('Faults').split(/,\s*/),
  }
}
