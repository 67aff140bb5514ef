/**
 * Forgets that were applied again after a restore: their events lie behind the backup and are lost, so each is recorded anew, with who,
 * why and when as they were. Kafka and later backups then know it again. Every process looks once a minute.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from '@portolan/infra/log.ts'
import { startRegularly } from '@portolan/infra/regularly.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { ForgetReason, MemberEvent } from '@portolan/schemas/members/messages.ts'
import { memberAccountStream } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import type { EventStore } from '../event-store/event-store.ts'
import { memberAccountStreamType } from './member-account.ts'

const EVERY_MS = 60_000
const BATCH = 100

interface ForgetRow {
  tenant_id: string
  person_id: string
  key_id: string
  reason: ForgetReason
  forgotten_by: string
  forgotten_at: Date
}

export interface RecordForgetsDeps {
  pool: pg.Pool
  store: Pick<EventStore, 'handle'>
}

/** Records up to 100 of them. Returns how many it found, so 0 when all are recorded. */
export async function recordForgets({ pool, store }: RecordForgetsDeps): Promise<number> {
  const { rows } = await pool.query<ForgetRow>('select * from forgets_to_record($1)', [BATCH])
  for (const row of rows) {
    await record(store, row).catch((error) => {
      // Another process was first.
      if (!(error instanceof Rejection) || error.code !== 'conflict') throw error
    })
  }
  return rows.length
}

async function record(store: RecordForgetsDeps['store'], row: ForgetRow): Promise<void> {
  const { tenant_id: tenantId, person_id: personId, key_id: keyId, reason, forgotten_by: by } = row
  const data = { personId, keyId, reason, reference: null, by, at: row.forgotten_at.toISOString() }
  const event: MemberEvent = { type: 'PersonForgotten', data }
  await store.handle({
    context: {
      tenantId,
      actor: { kind: 'service', id: 'command-api' },
      correlationId: randomUUID(),
      causationId: null,
    },
    streams: { account: { type: memberAccountStreamType, stream: memberAccountStream(personId) } },
    decide: () => ({ events: { account: [event] }, effects: [{ name: 'record_forget', args: { keyId } }] }),
  })
}

/** Starts; `stop` ends after the batch at hand. */
export function startRecordingForgets(deps: RecordForgetsDeps, logger: Logger): { stop(): Promise<void> } {
  async function recordBatch(): Promise<void> {
    const found = await recordForgets(deps)
    if (found > 0) logger.info('reapplied forgets recorded', { found })
  }
  const onError = (error: unknown) => logger.warn('reapplied forgets not recorded', { error })
  return startRegularly(recordBatch, { everyMs: EVERY_MS, onError })
}
