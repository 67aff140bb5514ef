import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { createAsOperator } from './operator-client.ts'

const signedIn = {
  accessToken: 'a-token',
  tokenType: 'Bearer',
  expiresInSeconds: 900,
  refreshToken: 'another',
  account: { accountId: 'stf_1', role: 'operator', tenantScope: null },
}

describe('an operator’s command', () => {
  let server: Server
  let answer: RequestListener
  let baseUrl: string

  before(async () => {
    server = createServer((req, res) =>
      req.url?.endsWith('/login') ? void res.end(JSON.stringify(signedIn)) : answer(req, res),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  const failureOf = async (url = baseUrl) =>
    createAsOperator(
      url,
      {},
      { timeoutMs: 200 },
    )('/ops/x', {}).catch((error: Error) => `${error.name}: ${error.message}`)

  it('says what was refused', async () => {
    answer = (_req, res) => res.writeHead(409).end(JSON.stringify({ title: 'Conflict', detail: 'not now' }))
    expect(await failureOf()).to.equal('Obstacle: Conflict: not now.')
  })

  // Seen failing: with the answer parsed as it comes (SyntaxError), and with every failure called unreachable.
  it('is refused by something that is not command-api', async () => {
    answer = (_req, res) => res.writeHead(502).end('<html>')
    expect(await failureOf()).to.equal('Obstacle: 502: refused.')
  })

  it('may have been carried out when its answer does not come, stops in the middle or cannot be read', async () => {
    const endings: RequestListener[] = [
      () => {},
      (_req, res) => void res.writeHead(200).write('{"half":'),
      (_req, res) => void res.destroy(),
      (_req, res) => void res.end('<html>'),
    ]
    for (const ending of endings) {
      answer = ending
      expect(await failureOf()).to.match(/^Obstacle: .*whether it was carried out is not known/)
    }
  })

  it('was not carried out when nobody listens', async () => {
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const { port } = gone.address() as AddressInfo
    await new Promise((resolve) => gone.close(resolve))
    expect(await failureOf(`http://127.0.0.1:${port}`)).to.match(
      /^Obstacle: command-api cannot be reached \(ECONNREFUSED\)/,
    )
  })
})
