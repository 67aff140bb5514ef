/** Seen failing: with a start that ends at a port that is taken; with the edge's own port asked for a second time. */

import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { expect } from 'chai'
import { startEdge } from '../edge/edge.ts'
import { listenOnContractPorts } from './contract-ports.ts'

describe('the ports that the contracts document', () => {
  it('serve what the edge serves, and one that is taken is one sentence', async () => {
    const squatter = createServer()
    const free = createServer()
    for (const server of [squatter, free]) await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const [taken, wanted] = [squatter, free].map((server) => (server.address() as AddressInfo).port)
    await new Promise((done) => free.close(done))
    const nowhere = 'http://127.0.0.1:1'
    const edge = await startEdge({ port: 0, upstreams: { 'command-api': nowhere, 'query-api': nowhere } })
    try {
      const said: string[] = []
      const own = Number(new URL(edge.url).port)
      const ports = [
        { port: own, api: 'the edge' },
        { port: Number(taken), api: 'an API' },
        { port: Number(wanted), api: 'another API' },
      ]
      const addresses = await listenOnContractPorts(edge, { ports, tell: (line) => void said.push(line) })
      expect(addresses).to.deep.equal([`http://127.0.0.1:${wanted}`])
      expect(said).to.deep.equal([
        `! Port ${taken}, the documented address of an API, is taken by another program: it is served on ${edge.url}.`,
      ])
      const answer = await fetch(`${addresses[0]}/api/v1/reservations`, { method: 'POST' })
      expect(answer.status).to.equal(503)
      expect(await answer.json()).to.have.nested.property('error.code', 'unavailable')
      expect((await fetch(`${addresses[0]}/`, { redirect: 'manual' })).headers.get('location')).to.equal('/docs')
    } finally {
      await edge.close()
      squatter.close()
    }
  })
})
