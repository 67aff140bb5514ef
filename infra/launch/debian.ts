import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { withLock } from './lock.ts'
import { DATA } from './paths.ts'
import { longStep, Obstacle } from './say.ts'

const run = promisify(execFile)

/** True where we may install Debian packages: apt-get is there and we are root. */
export function canInstallPackages(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')
}

/**
 * Installs Debian packages. Postgres's would create and start a cluster on 5432, which nobody asked for: we only want
 * the programs. Rejects with an Obstacle that repeats apt's own reason.
 */
export async function installDebianPackages(packages: string[]): Promise<void> {
  // One at a time: the three services are brought up together, and apt-get refuses a second one of itself.
  await withLock(`${DATA}/apt.lock`, () =>
    longStep(`installing ${packages.join(', ')} with apt-get`, () => aptGet(packages)),
  )
}

async function aptGet(packages: string[]): Promise<void> {
  const noCluster = '/etc/postgresql-common/createcluster.d/portolan.conf'
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  mkdirSync('/etc/postgresql-common/createcluster.d', { recursive: true })
  writeFileSync(noCluster, 'create_main_cluster = false\n')
  try {
    await run('apt-get', ['update', '-q'], { env, maxBuffer: 64 << 20 })
    await run(
      'apt-get',
      ['install', '-q', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=60', ...packages],
      {
        env,
        maxBuffer: 64 << 20,
      },
    )
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string }
    const reason = /^E: (.*)$/m.exec(stderr)?.[1] ?? message.split('\n')[0]
    throw new Obstacle(
      `apt-get could not install ${packages.join(' and ')} (${reason}): install them yourself, then run this again.`,
    )
  } finally {
    rmSync(noCluster, { force: true })
  }
}
