import { existsSync, watch } from 'node:fs'
import { ROOT } from './paths.ts'

const SETTLE_MS = 150

/**
 * Calls `onChange` once for a burst of changes to TypeScript sources below `folders` (relative to the root); tests do
 * not count. Returns a function that stops watching.
 */
export function watchSources(folders: string[], onChange: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const watchers = folders
    .map((folder) => `${ROOT}/${folder}`)
    .filter((folder) => existsSync(folder))
    .map((folder) =>
      watch(folder, { recursive: true }, (_event, file) => {
        if (!file?.endsWith('.ts') || file.endsWith('.test.ts') || file.includes('node_modules')) return
        clearTimeout(timer)
        timer = setTimeout(onChange, SETTLE_MS)
      }),
    )
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
  }
}
