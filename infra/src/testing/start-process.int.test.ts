import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { startProcess } from './start-process.ts'

describe('a process started for a test', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'portolan-process-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  function entryOf(code: string): string {
    const path = join(folder, 'entry.ts')
    writeFileSync(path, code)
    return path
  }

  const READY = `console.log(JSON.stringify({ level: 'info', message: 'ready', url: 'http://127.0.0.1:1', shard: process.env.SHARD }))`

  it('is handed over once it has said that it is ready, and ends when told to', async () => {
    // Told to end the moment it is ready: what it does then is settled before it says so.
    const code = `process.on('SIGTERM', () => { console.log('bye'); process.exit(0) }); setInterval(() => {}, 1000); ${READY}`
    const started = await startProcess({ entry: entryOf(code), env: { SHARD: 'two' } })
    expect(started.url).to.equal('http://127.0.0.1:1')
    expect(started.ready.shard).to.equal('two')
    expect(await started.stop()).to.equal(0)
  })

  it('ends at once when killed, even while it is held still', async () => {
    const started = await startProcess({ entry: entryOf(`${READY}; setInterval(() => {}, 1000)`) })
    started.pause()
    await started.kill()
    expect(await started.exited).to.equal(null)
  })

  it('fails the test with its last words when it ends before it is ready', async () => {
    const failure = await startProcess({ entry: entryOf(`throw new Error('no such database')`), name: 'relay' }).catch(
      (error: Error) => error,
    )
    expect(failure).to.be.instanceOf(Error)
    expect((failure as Error).message)
      .to.match(/relay ended \(exit code 1\) before it was ready/)
      .and.include('no such database')
  })

  it('fails the test when it stays silent', async () => {
    const failure = await startProcess({ entry: entryOf('setInterval(() => {}, 1000)'), readyWithinMs: 300 }).catch(
      (error: Error) => error,
    )
    expect((failure as Error).message).to.include('was not ready after 300 ms')
  })

  it('ends with the process that started it, even when that one is killed', async () => {
    const middle = entryOf(`
      import { startProcess } from '${new URL('start-process.ts', import.meta.url).href}'
      const inner = await startProcess({ entry: '${join(folder, 'inner.ts')}' })
      console.log(JSON.stringify({ message: 'ready', url: 'none', inner: inner.pid }))`)
    writeFileSync(join(folder, 'inner.ts'), `${READY}; setInterval(() => {}, 1000)`)
    const started = await startProcess({ entry: middle })
    const inner = Number(started.ready.inner)
    expect(isRunning(inner)).to.equal(true)
    await started.kill()
    const deadline = Date.now() + 5000
    while (isRunning(inner) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(isRunning(inner)).to.equal(false)
  })
})

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
