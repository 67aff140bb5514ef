/**
 * Rotation of PERSONAL_DATA_KEYS: every process moves the keys of persons to the environment's first key, when it starts and
 * every hour. Until processes of one key order are gone the two may move the same keys to and fro, which does no harm.
 */
import type { Logger } from '@portolan/infra/log.ts'
import { startRegularly } from '@portolan/infra/regularly.ts'
import type { PersonalKeys } from './personal-keys.ts'

const EVERY_MS = 3_600_000

/** Starts; logs how many keys were moved. `stop` ends after the batch at hand. */
export function startKeyRotation(keys: Pick<PersonalKeys, 'rewrapBatch'>, logger: Logger): { stop(): Promise<void> } {
  async function rewrapAll(stopping: AbortSignal): Promise<void> {
    let moved = 0
    try {
      for (let batch = 1; batch > 0 && !stopping.aborted; ) {
        batch = await keys.rewrapBatch()
        moved += batch
      }
    } finally {
      if (moved > 0) logger.info('personal keys rewrapped', { moved })
    }
  }
  const onError = (error: unknown) => logger.warn('personal keys not rewrapped', { error })
  return startRegularly(rewrapAll, { everyMs: EVERY_MS, onError })
}
