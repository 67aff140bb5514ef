// Sabotage seen to fail: looking at children only, not at their children; following names, so that another process of the name counts.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expect } from 'chai'
import { followProcessesBelow, nodeProcessesBelow } from './memory.ts'

describe('memory of processes', () => {
  it('counts Node processes below a process, at any depth', async () => {
    const grandchild = `process.stdout.write('ready'); setInterval(() => {}, 1000)`
    const child = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(grandchild)}], { stdio: 'inherit' })`
    const started = spawn('sh', ['-c', `"${process.execPath}" -e '${child.replaceAll("'", `'\\''`)}'; true`], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await once(started.stdout, 'data')
      const found = nodeProcessesBelow(started.pid as number)
      expect(found.map(({ name }) => name)).to.deep.equal(['node', 'node'])
      for (const { pssMb } of found) expect(pssMb).to.be.within(1, 200)
    } finally {
      process.kill(-(started.pid as number), 'SIGKILL')
    }
  })

  it('says that a process ended although another one runs in its place', async () => {
    const lasting = `process.stdout.write('ready'); setInterval(() => {}, 1000)`
    const restarting = `
      const { spawn } = require('node:child_process')
      const start = () => spawn(process.execPath, ['-e', ${JSON.stringify(lasting)}], { stdio: 'inherit' }).once('exit', start)
      start()`
    const started = spawn(process.execPath, ['-e', restarting], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const root = started.pid as number
    const children = () => nodeProcessesBelow(root).flatMap(({ pid }) => (pid === root ? [] : pid))
    try {
      await once(started.stdout, 'data')
      const followed = followProcessesBelow(root)
      expect(followed.measure()).to.have.length(2)
      expect(followed.ended()).to.deep.equal([])
      const [first] = children()
      process.kill(first as number, 'SIGKILL')
      await eventually(() => expect(children()).to.have.length(1).and.not.include(first))
      expect(followed.measure().map(({ pid }) => pid)).to.deep.equal([root])
      expect(followed.ended()).to.deep.equal(['node'])
    } finally {
      process.kill(-root, 'SIGKILL')
    }
  })
})
