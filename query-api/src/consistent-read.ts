/** Before a read: wait for what its caller may have written. After it: say how fresh the answer is. */
import { decodeToken, type WrittenPositions } from '@portolan/infra/consistency-token.ts'
import { reach } from '@portolan/infra/kill-points.ts'
import type { Request, Response } from 'express'
import type { ReadModel, ReadModels } from './read-models.ts'

export interface Reader {
  /** Under which the caller's last written positions are kept. */
  rememberedTenant: string
  principal: string
  /** Whose rows are read; null: all tenants'. */
  tenantId: string | null
}

/**
 * Waits until these read models reflect the `Consistency-Token` of the request, or without one what its principal wrote
 * within the last minute. Rejects: read-model-behind when that takes too long, with and without a token: an older row than
 * the caller's own write is never an answer. validation-error for what is no token of ours.
 */
export type ConsistentRead = (
  req: Request,
  res: Response,
  reader: Reader,
  models: readonly ReadModel[],
  stream?: string,
) => Promise<void>

export function createConsistentRead(deps: { readModels: ReadModels; written: WrittenPositions }): ConsistentRead {
  const { readModels, written } = deps
  return async (req, res, { rememberedTenant, principal, tenantId }, models, stream) => {
    const token = req.get('Consistency-Token')
    const positions = token ? decodeToken(token) : await written.recall(rememberedTenant, principal)
    if (positions) await readModels.waitFor({ models, tenantId, stream, positions, isToken: token !== undefined })
    reach('after-read-wait')
    const fresh = readModels.freshness(models, stream === undefined ? undefined : { tenantId, stream })
    if (!fresh) return
    res.set({ 'X-Read-Model-Age': fresh.ageSeconds.toFixed(3), 'X-Read-Model-Events': String(fresh.events) })
  }
}
