import { fileURLToPath } from 'node:url'

/** Root of the repository, without a trailing slash. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/[/\\]$/, '')

/** Everything Portolan makes at run time: broker data, logs, pid files, secrets. Never committed. */
export const DATA = process.env.PORTOLAN_DATA_DIR ?? `${ROOT}/.data`

/** One log file per process; the previous run's is kept beside it as `.log.1`. */
export const LOGS = `${DATA}/logs`
