/** `POST /internal/unseal`: the other processes hold no keys and open sealed fields in batches here. */

import { parseInput } from '@portolan/infra/http/problem.ts'
import { unsealAnswerSchema, unsealRequestSchema } from '@portolan/infra/http/unseal-client.ts'
import { Router } from 'express'
import type { PersonalKeys } from './personal-keys.ts'

/** Mounted behind the service token. Answers `{ items: [{ value } | { gone: true }] }` in the order asked for. */
export function createPersonalDataRoutes(personalKeys: Pick<PersonalKeys, 'unsealAll'>): Router {
  const routes = Router()
  routes.post('/internal/unseal', async (req, res) => {
    const { tenantId, items } = parseInput(unsealRequestSchema, req.body)
    res.json(unsealAnswerSchema.parse({ items: await personalKeys.unsealAll(tenantId, items) }))
  })
  return routes
}
