// Sabotage seen to fail: exiting right after the signal instead of awaiting `stop`; not arming the stop's deadline.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect } from 'chai'
import { eventually } from './testing/eventually.ts'

/** A process of the product in miniature; `start` is the text of the function given to runProcess. */
class Specimen {
  output = ''
  readonly #child: ChildProcessWithoutNullStreams
  readonly ended: Promise<{ code: number | null; signal: string | null }>

  constructor(folder: string, start: string, env: Record<string, string> = {}) {
    const file = `${folder}/${Math.random().toString(36).slice(2)}.ts`
    const from = (name: string) => JSON.stringify(new URL(name, import.meta.url).pathname)
    writeFileSync(
      file,
      `import { runProcess } from ${from('./lifecycle.ts')}
       import { reach } from ${from('./kill-points.ts')}
       void reach
       const alive = setInterval(() => {}, 1000)
       await runProcess('specimen', ${start}, { stopWithinMs: 200 })`,
    )
    this.#child = spawn(process.execPath, [file], { env: { PATH: process.env.PATH, ...env } })
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (text) => (this.output += text))
    this.ended = new Promise((resolve) => this.#child.once('exit', (code, signal) => resolve({ code, signal })))
  }

  lines(): Record<string, unknown>[] {
    return this.output.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
  }

  async ready(): Promise<Record<string, unknown>> {
    await eventually(() => this.lines().some(({ message }) => message === 'ready'))
    return this.lines().find(({ message }) => message === 'ready') ?? {}
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }
}

describe('a process', () => {
  let folder: string
  const specimens: Specimen[] = []
  const run = (start: string, env?: Record<string, string>) => {
    const specimen = new Specimen(folder, start, env)
    specimens.push(specimen)
    return specimen
  }
  const stopping = `async () => ({ url: 'http://x', ready: { epoch: 3 }, stop: async () => {
    await new Promise((resolve) => setTimeout(resolve, 20))
    console.log('{"message":"stopped"}')
  } })`

  before(() => {
    folder = mkdtempSync(`${tmpdir()}/portolan-lifecycle-`)
  })
  after(() => {
    for (const specimen of specimens) specimen.signal('SIGKILL')
    rmSync(folder, { recursive: true })
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`says when it is ready, stops on ${signal} and exits 0`, async () => {
      const specimen = run(stopping, { LOG_LEVEL: 'error' })
      expect(await specimen.ready()).to.deep.equal({
        level: 'info',
        message: 'ready',
        process: 'specimen',
        url: 'http://x',
        epoch: 3,
      })
      specimen.signal(signal)
      expect(await specimen.ended).to.deep.equal({ code: 0, signal: null })
      expect(specimen.lines().at(-1)).to.deep.equal({ message: 'stopped' })
    })
  }

  it('that cannot start says so in one line, with every problem of its configuration, and exits 1', async () => {
    const specimen = run(
      `async () => { throw Object.assign(new Error('A is not set.\\nB is wrong.'), { name: 'ConfigError' }) }`,
    )
    expect((await specimen.ended).code).to.equal(1)
    expect(specimen.output.trim().split('\n')).to.have.length(1)
    expect(specimen.lines()[0]).to.deep.include({ level: 'error', message: 'start failed' })
    expect(specimen.output).to.include('A is not set.').and.include('B is wrong.')
  })

  it('that is told to stop while it starts stops as soon as it has started', async () => {
    const specimen = run(`async () => {
      console.log('{"message":"starting"}')
      await new Promise((resolve) => setTimeout(resolve, 100))
      return (${stopping})()
    }`)
    await eventually(() => specimen.output.includes('starting'))
    specimen.signal('SIGTERM')
    expect((await specimen.ended).code).to.equal(0)
    expect(specimen.output).to.include('stopped')
  })

  it('whose stop hangs is ended at its deadline, with exit 1', async () => {
    const specimen = run(`async () => ({ url: 'x', stop: () => new Promise(() => {}) })`)
    await specimen.ready()
    specimen.signal('SIGTERM')
    expect((await specimen.ended).code).to.equal(1)
    expect(specimen.output).to.include('stop took too long')
  })

  it('whose stop fails exits 1', async () => {
    const specimen = run(`async () => ({ url: 'x', stop: async () => { throw new Error('pool is stuck') } })`)
    await specimen.ready()
    specimen.signal('SIGTERM')
    expect((await specimen.ended).code).to.equal(1)
    expect(specimen.output).to.include('pool is stuck')
  })

  it('with an error nobody caught logs it and exits 1', async () => {
    const specimen = run(
      `async () => { setTimeout(() => { throw new Error('nobody caught') }, 10); return (${stopping})() }`,
    )
    expect((await specimen.ended).code).to.equal(1)
    expect(specimen.lines().at(-1)).to.deep.include({ level: 'error', message: 'uncaught error' })
  })

  it('kills itself at its kill point, after leaving a marker', async () => {
    const marker = `${folder}/marker`
    const specimen = run(`async () => { reach('after-produce'); reach('after-append'); return (${stopping})() }`, {
      KILL_POINT: 'after-append',
      KILL_POINT_FILE: marker,
    })
    expect(await specimen.ended).to.deep.equal({ code: null, signal: 'SIGKILL' })
    expect(readFileSync(marker, 'utf8')).to.match(/^after-append \d+\n$/)
  })

  it('survives its kill point until the time and the number it is armed with', async () => {
    const twice = `reach('after-append'); reach('after-append');`
    const counted = run(`async () => { ${twice}; return (${stopping})() }`, { KILL_POINT: 'after-append:3' })
    expect(await counted.ready()).to.include({ message: 'ready' })
    counted.signal('SIGTERM')
    const early = run(`async () => { ${twice}; return (${stopping})() }`, {
      KILL_POINT: 'after-append',
      KILL_POINT_AFTER_MS: '60000',
    })
    expect(await early.ready()).to.include({ message: 'ready' })
    early.signal('SIGTERM')
    const third = run(`async () => { ${twice} reach('after-append'); return (${stopping})() }`, {
      KILL_POINT: 'after-append:3',
    })
    expect((await third.ended).signal).to.equal('SIGKILL')
  })

  it('has no kill points in production', async () => {
    const specimen = run(`async () => { reach('after-append'); return (${stopping})() }`, {
      KILL_POINT: 'after-append',
      NODE_ENV: 'production',
    })
    expect(await specimen.ready()).to.include({ message: 'ready' })
  })
})
