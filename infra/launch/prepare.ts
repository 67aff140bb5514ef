/**
 * Everything `npm start` does before our processes can run, in a process of its own: the database client and the
 * migration runner would otherwise stay in the launcher's memory for as long as the system runs.
 *
 * Spawned with the launcher's process id, for which the backing services are started; answers over the channel.
 */
import { type BackingServices, ensureBackingServices, serviceEnvironment } from './backing-services.ts'
import { type DatabaseUrls, prepareDatabases, READ_DATABASE, WRITE_DATABASE } from './databases.ts'
import { Obstacle, runEntry } from './say.ts'
import { loadSecrets } from './secrets.ts'

export type Prepared = {
  services: BackingServices
  /** Where our processes find the services. */
  env: Record<string, string>
  databases: DatabaseUrls
}

async function main(): Promise<number> {
  try {
    process.send?.(await prepare())
    return 0
  } catch (error) {
    if (!(error instanceof Obstacle)) throw error
    process.send?.({ obstacle: error.message })
    return 1
  }
}

async function prepare(): Promise<Prepared> {
  const launcher = Number(process.argv[2])
  const services = await ensureBackingServices(process.env, launcher)
  const databases = await prepareDatabases(services.postgres.url, loadSecrets().databasePassword).catch(explain)
  return { services, env: serviceEnvironment(services), databases }
}

/** What the server refuses (a right, a full disk, too many connections) is for a person to mend; the rest is our bug. */
function explain(error: Error & { code?: string }): never {
  if (!error.code) throw error
  throw new Obstacle(
    `The databases ${WRITE_DATABASE} and ${READ_DATABASE} cannot be prepared (${error.message}): mend that, or set DATABASE_URL to another server.`,
  )
}

await runEntry(main)
