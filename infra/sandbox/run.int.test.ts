/** The stand-ins as processes: ready line, clean stop, and one sentence when the port is taken. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'

describe('A stand-in as a process', () => {
  const children: ChildProcessByStdio<null, Readable, Readable>[] = []

  function start(entry: string, env: Record<string, string>) {
    const path = fileURLToPath(new URL(entry, import.meta.url))
    const child = spawn(process.execPath, [path], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.push(child)
    const firstLine = async (stream: Readable) =>
      JSON.parse(String((await once(stream, 'data'))[0]).split('\n')[0] ?? '')
    return { child, ready: () => firstLine(child.stdout), complaint: () => firstLine(child.stderr) }
  }

  after(() => {
    for (const child of children) child.kill('SIGKILL')
  })

  for (const [entry, name, variable] of [
    ['./main-coffeechain.ts', 'sandbox-coffeechain', 'SANDBOX_COFFEECHAIN_PORT'],
    ['./main-duffel.ts', 'sandbox-duffel', 'SANDBOX_DUFFEL_PORT'],
  ] as const) {
    it(`${name} says where it is ready, names a taken port, and stops on SIGTERM`, async () => {
      const first = start(entry, { [variable]: '0' })
      const line = await first.ready()
      expect(line).to.include({ level: 'info', message: 'ready', process: name })
      expect((await fetch(`${line.url}/_sandbox/counters`)).status).to.equal(200)

      const second = start(entry, { [variable]: new URL(line.url).port })
      expect((await second.complaint()).message).to.match(/^Port \d+ is taken: .*\.$/)
      if (second.child.exitCode === null) await once(second.child, 'exit')
      expect(second.child.exitCode).to.equal(1)

      first.child.kill('SIGTERM')
      expect((await once(first.child, 'exit'))[0]).to.equal(0)
    }).timeout(10_000)
  }

  it('says which setting is no number', async () => {
    const { complaint } = start('./main-duffel.ts', { SANDBOX_DUFFEL_PORT: 'abc' })
    expect((await complaint()).message).to.equal('SANDBOX_DUFFEL_PORT must be a number, not "abc"')
  })
})
