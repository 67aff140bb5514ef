import type { ServiceClient } from '@portolan/infra/http/client.ts'
import { expect } from 'chai'
import { createHttpParking } from './parking.ts'

describe('parking at command-api', () => {
  // Seen failing: with one page taken for everything.
  it('lists every stream, page by page', async () => {
    const all = ['a', 'b', 'c'].map((stream) => ({ tenantId: 'harbour', stream }))
    const commandApi = {
      get: async (path: string) => {
        const { pathname, searchParams } = new URL(path, 'http://command-api')
        expect(pathname).to.equal('/internal/parked/workers.dispatch')
        const after = searchParams.get('stream') ?? ''
        return { streams: all.filter(({ stream }) => stream > after).slice(0, 2) }
      },
    } as unknown as ServiceClient
    expect(await createHttpParking(commandApi, 'workers.dispatch').list()).to.deep.equal(all)
  })
})
