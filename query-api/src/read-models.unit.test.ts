/** Seen failing: with a deadline that only the poll looks at, both the read and the stop hang. */

import { createMetrics } from '@portolan/infra/telemetry.ts'
import { createRecordingLogger } from '@portolan/infra/testing/recording-logger.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import pg from 'pg'
import { createReadModels } from './read-models.ts'

describe('a waiting read while the database is silent', () => {
  it('is refused after its wait, and does not hold up the end of the process', async () => {
    const pool = Object.assign(new pg.Pool(), { query: () => new Promise<never>(() => {}) })
    const deps = { pool, logger: createRecordingLogger(), metrics: createMetrics('test') }
    const models = createReadModels(deps, { waitMs: 30, pollMs: 5 })
    const wanted = {
      models: ['ledger'] as const,
      tenantId: null,
      positions: { generation: 1, positions: { [topics.bookings]: { '0': 1 } } },
      isToken: false,
    }
    const refusal = await models.waitFor(wanted).catch((error: unknown) => error)
    expect(refusal).to.have.property('code', 'read-model-behind')
    await models.stop()
  })
})
