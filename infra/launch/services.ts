/**
 * `npm run services -- up | down | run <command …>`: the backing services without our processes, for running a single
 * test file or a tool by hand. `run` gives the command DATABASE_URL, REDIS_URL and KAFKA_BROKERS and lets go of the
 * services when it ends.
 */
import { spawn } from 'node:child_process'
import {
  ensureBackingServices,
  releaseBackingServices,
  serviceEnvironment,
  stopBackingServices,
} from './backing-services.ts'
import { Obstacle, runEntry, say } from './say.ts'
import { loadSettings } from './settings.ts'

async function main(): Promise<number> {
  loadSettings()
  const [verb, command, ...args] = process.argv.slice(2)
  if (verb === 'up') return up()
  if (verb === 'down') return down()
  if (verb === 'run' && command) return runCommand(command, args)
  throw new Obstacle('Say `up`, `down` or `run <command …>` after `npm run services --`.')
}

async function up(): Promise<number> {
  const services = await ensureBackingServices(process.env, 'itself')
  for (const [name, value] of Object.entries(serviceEnvironment(services)))
    process.stdout.write(`export ${name}='${value}'\n`)
  say('· they stay up until `npm run services -- down`')
  return 0
}

async function down(): Promise<number> {
  say((await stopBackingServices()) ? '· stopped' : '· no server of our own was running')
  return 0
}

async function runCommand(command: string, args: string[]): Promise<number> {
  const services = await ensureBackingServices()
  const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...serviceEnvironment(services) } })
  process.on('SIGINT', () => {}) // the terminal sends it to the command as well; we only wait for its end
  process.on('SIGTERM', () => child.kill())
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', () => reject(new Obstacle(`${command} cannot be run: is it installed?`)))
      child.once('exit', (code) => resolve(code ?? 1))
    })
  } finally {
    await releaseBackingServices()
  }
}

await runEntry(main)
