/** Read your own write (P11): every command's answer names the positions it reflects, and they are remembered for the principal's next reads. */
import { encodeToken, type WrittenPositions } from '@portolan/infra/consistency-token.ts'
import type { Response } from 'express'
import type { Positions } from './event-store/read.ts'

export type NoteWritten = (
  res: Response,
  who: { tenantId: string; principal: string },
  positions: Positions,
) => Promise<void>

/** generation: of the log. The header is set before the answer is sent; remembering never fails an answer. */
export function createNoteWritten(written: WrittenPositions, generation: number): NoteWritten {
  return async (res, { tenantId, principal }, positions) => {
    const reflected = { generation, positions }
    res.set('Consistency-Token', encodeToken(reflected))
    await written.remember(tenantId, principal, reflected)
  }
}
