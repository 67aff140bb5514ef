/** An operator's command against a test's system, run as `npm run ops` runs it. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { System } from './system.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** code: exit code. out: the table. said: sentences. */
export function runOps(system: System, ...args: string[]): Promise<{ code: number; out: string; said: string }> {
  const env = {
    ...process.env,
    ...system.env,
    WRITE_DATABASE_URL: system.writeDatabase.adminUrl,
    READ_DATABASE_URL: system.readDatabase.adminUrl,
  }
  return new Promise((resolve) => {
    execFile(process.execPath, ['infra/ops/main.ts', ...args], { cwd: ROOT, env }, (error, out, said) =>
      resolve({ code: error ? Number(error.code) : 0, out, said }),
    )
  })
}
