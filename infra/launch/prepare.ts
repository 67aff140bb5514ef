/**
 * Everything `npm start` does before our processes can run, in a process of its own: the database client and the
 * migration runner would otherwise stay in the launcher's memory for as long as the system runs.
 *
 * Spawned with the launcher's process id, for which the backing services are started; answers over the channel.
 */
import { type BackingServices, ensureBackingServices, serviceEnvironment } from './backing-services.ts'
import { type DatabaseUrls, prepareDatabases } from './databases.ts'
import { runEntry } from './say.ts'
import { loadSecrets } from './secrets.ts'

export type Prepared = {
  services: BackingServices
  /** Where our processes find the services. */
  env: Record<string, string>
  databases: DatabaseUrls
}

async function main(): Promise<number> {
  const launcher = Number(process.argv[2])
  const services = await ensureBackingServices(process.env, launcher)
  const databases = await prepareDatabases(services.postgres.url, loadSecrets().databasePassword)
  const prepared: Prepared = { services, env: serviceEnvironment(services), databases }
  process.send?.(prepared)
  return 0
}

await runEntry(main)
