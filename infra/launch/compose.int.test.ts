/**
 * Docker Compose from the launcher's side, with a `docker` in PATH that only notes what it was asked.
 *
 * Seen failing: with no record of what `services -- up` asked for, and with what came up before a failure left running.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter } from 'node:path'
import { expect } from 'chai'
import { composeUp, hasDocker, releaseCompose, stopCompose } from './compose.ts'

describe('Docker Compose', () => {
  const path = process.env.PATH
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(`${tmpdir()}/portolan-docker-`)
  })
  afterEach(() => {
    process.env.PATH = path
    rmSync(folder, { recursive: true })
  })

  function putDocker(script: string): void {
    writeFileSync(`${folder}/docker`, `#!/bin/sh\necho "$*" >> ${folder}/asked\n${script}\n`, { mode: 0o755 })
    process.env.PATH = `${folder}${delimiter}${path}`
  }
  const asked = () => readFileSync(`${folder}/asked`, 'utf8').trim().split('\n')

  it('is used where an engine answers', async () => {
    putDocker('exit 0')
    expect(await hasDocker()).to.equal(true)
  })

  it('is not used where docker is there and no engine answers', async () => {
    putDocker('echo "Cannot connect to the Docker daemon" >&2; exit 1')
    expect(await hasDocker()).to.equal(false)
  })

  it('is not waited for when the engine hangs', async () => {
    putDocker('exec sleep 30')
    const startedAt = performance.now()
    expect(await hasDocker()).to.equal(false)
    expect(performance.now() - startedAt).to.be.lessThan(5000)
  })

  it('brings up what is missing and stops it when its last user leaves', async () => {
    putDocker('exit 0')
    expect(await composeUp(['redis', 'kafka'], process.pid)).to.equal(true)
    expect(await composeUp(['redis', 'kafka'], process.ppid)).to.equal(true)
    expect(asked()[0]).to.match(
      /^compose -f \S+\/docker-compose\.yml -p portolan-[0-9a-f]{8} up -d --wait redis kafka$/,
    )
    await releaseCompose(process.pid)
    expect(asked()).to.have.length(2)
    await releaseCompose(process.ppid)
    expect(asked()[2]).to.match(/ stop$/)
  })

  it('leaves up what was asked to stay, until it is stopped by name', async () => {
    putDocker('exit 0')
    await composeUp(['redis'], 'itself')
    await composeUp(['redis'], process.pid)
    await releaseCompose(process.pid)
    expect(asked().filter((line) => line.endsWith(' stop'))).to.deep.equal([])
    await stopCompose()
    expect(asked().at(-1)).to.match(/ stop$/)
    await composeUp(['redis'], process.pid)
    await releaseCompose(process.pid)
    expect(asked().filter((line) => line.endsWith(' stop'))).to.have.length(2)
  })

  it('gives way to the next means when it cannot bring them up', async () => {
    putDocker('echo "pull access denied" >&2; exit 1')
    expect(await composeUp(['redis'], process.pid)).to.equal(false)
    expect(asked().at(-1), 'what came up before the failure').to.match(/ stop$/)
  })

  it('does not stop what others use when more of it cannot be brought up', async () => {
    putDocker('exit 0')
    await composeUp(['redis'], process.ppid)
    putDocker('case "$*" in *kafka*) echo "port is already allocated" >&2; exit 1;; esac')
    expect(await composeUp(['kafka'], process.pid)).to.equal(false)
    expect(await composeUp(['kafka'], 'itself')).to.equal(false)
    expect(asked().filter((line) => line.endsWith(' stop'))).to.deep.equal([])
    await releaseCompose(process.ppid)
    expect(asked().at(-1)).to.match(/ stop$/)
  })
})
