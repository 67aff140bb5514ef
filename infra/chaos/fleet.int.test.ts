/** The supervisor of the laboratory: what dies comes back, what a fault holds down stays down, what is held still is still. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expect } from 'chai'
import { ROOT } from '../launch/paths.ts'
import { startBalancer } from './balancer.ts'
import { createFleet, type Fleet } from './fleet.ts'
import { freePorts } from './ports.ts'

const answers = (url: string) =>
  fetch(`${url}/_sandbox/counters`, { signal: AbortSignal.timeout(500) }).then(
    ({ ok }) => ok,
    () => false,
  )

describe('the fleet of the laboratory', function () {
  this.timeout(30_000)
  let folder: string
  let fleet: Fleet
  let ports: number[]
  before(async () => {
    folder = mkdtempSync(`${tmpdir()}/portolan-fleet-`)
    ports = await freePorts(3)
    fleet = createFleet({ root: ROOT, logFolder: folder, arms: {} })
    for (const [index, port] of ports.slice(0, 2).entries()) {
      const env = { SANDBOX_COFFEECHAIN_PORT: String(port) }
      fleet.start({ name: `one-${index}`, kind: 'stand-in', entry: 'infra/sandbox/main-coffeechain.ts', port, env })
    }
    await fleet.allReady(10_000)
  })
  after(async () => {
    await fleet?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  it('starts again what was killed, with a log of its own', async () => {
    expect(await fleet.kill('one-0')).to.equal(true)
    await fleet.allReady(10_000)
    const lives = fleet.incarnations().filter((one) => one.process === 'one-0')
    expect(lives.map(({ number, ending, wasEnded }) => [number, ending, wasEnded])).to.deep.equal([
      [1, 'SIGKILL', true],
      [2, null, false],
    ])
    for (const life of lives) expect(readFileSync(fleet.logOf(life), 'utf8')).to.contain('"ready"')
  })

  it('leaves down what is held, until it is released', async () => {
    await fleet.hold('one-0')
    expect(fleet.isRunning('one-0')).to.equal(false)
    expect(await fleet.kill('one-0')).to.equal(false)
    fleet.release('one-0')
    await fleet.allReady(10_000)
  })

  it('knows whether a process is held still, and the same', async () => {
    const pid = (await fleet.pause('one-0')) ?? 0
    expect(fleet.isHeldStill('one-0', pid)).to.equal(true)
    expect(await answers(fleet.url('one-0'))).to.equal(false)
    fleet.resume('one-0')
    await eventually(() => answers(fleet.url('one-0')))
    expect(fleet.isHeldStill('one-0', pid)).to.equal(false)
    const other = (await fleet.pause('one-0')) ?? 0
    await fleet.kill('one-0')
    await fleet.allReady(10_000)
    expect(fleet.isHeldStill('one-0', other)).to.equal(false)
  })

  it('is reached through one address as long as one of it accepts', async () => {
    const [first = 0, second = 0, address = 0] = ports
    const balancer = await startBalancer(address, [first, second])
    try {
      const ask = () => answers(`http://127.0.0.1:${address}`)
      expect(await ask()).to.equal(true)
      await fleet.hold('one-0')
      for (let asked = 0; asked < 4; asked++) expect(await ask()).to.equal(true)
      await fleet.hold('one-1')
      expect(await ask()).to.equal(false)
    } finally {
      await balancer.close()
    }
  })
})
