import { existsSync } from 'node:fs'
import { ROOT } from './paths.ts'
import { Obstacle } from './say.ts'

/** Reads `.env` of the repository root into process.env; what is set already wins. Children get it from us, nobody else reads it. */
export function loadSettings(): void {
  const path = `${ROOT}/.env`
  if (!existsSync(path)) return
  try {
    process.loadEnvFile(path)
  } catch (error) {
    throw new Obstacle(
      `.env cannot be read (${(error as Error).message}): correct it, or delete it to use the defaults.`,
    )
  }
}
