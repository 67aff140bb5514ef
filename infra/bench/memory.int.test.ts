// Sabotage seen to fail: looking at children only, not at their children.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { nodeProcessesBelow } from './memory.ts'

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
})
