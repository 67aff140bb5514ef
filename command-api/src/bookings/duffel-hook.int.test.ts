import { createHmac } from 'node:crypto'
import { startTestApp, type TestApp } from '@portolan/infra/testing/test-app.ts'
import { expect } from 'chai'
import { createDuffelHook } from './duffel-hook.ts'

describe("a supplier's webhook", () => {
  const secret = 'webhook-secret'
  let app: TestApp

  before(async () => {
    const deps = {
      secret,
      pool: { query: async () => ({ rows: [] }) },
      store: { clock: { now: () => new Date().toISOString() } },
    }
    // Nothing else is used while no poll is open.
    app = await startTestApp((routes) => routes.use(createDuffelHook(deps as unknown as HookDeps)), { bodyLimit: null })
  })
  after(() => app.stop())

  const send = (id: string) => {
    const body = JSON.stringify({ id, type: 'order.updated', data: {} })
    const sentAt = Math.floor(Date.now() / 1000)
    const signature = createHmac('sha256', secret).update(`${sentAt}.${body}`).digest('hex')
    return fetch(`${app.url}/hooks/duffel`, {
      method: 'POST',
      body,
      headers: { 'X-Duffel-Signature': `t=${sentAt},v1=${signature}` },
    })
  }

  it('is taken when its id fits the metadata of the events it causes, and refused when not', async () => {
    expect((await send('w'.repeat(100))).status).to.equal(200)
    expect((await send('w'.repeat(101))).status).to.equal(400)
  })
})

type HookDeps = Parameters<typeof createDuffelHook>[0]
