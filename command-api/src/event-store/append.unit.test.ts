import { createMetrics } from '@portolan/infra/telemetry.ts'
import { expect } from 'chai'
import type pg from 'pg'
import { createAppender } from './append.ts'

describe('the group commit', () => {
  it('makes a statement that was never answered a fault of every command, and does not repeat it', async () => {
    let statements = 0
    const silent = {
      query: async () => {
        statements += 1
        throw new Error('Query read timeout') // what pg rejects with after query_timeout
      },
    }
    const appender = createAppender({
      pool: silent as unknown as pg.Pool, // the one method that is used
      onCommit: () => expect.fail('nothing is known to be committed'),
      metrics: createMetrics('append-test'),
    })
    const append = () => appender.append({ tenantId: 'harbour', streams: [], effects: [] })
    const results = await Promise.allSettled([append(), append()])
    expect(results.map((result) => result.status === 'rejected' && result.reason.message)).to.deep.equal([
      'append failed',
      'append failed',
    ])
    expect(statements).to.equal(1)
  })
})
