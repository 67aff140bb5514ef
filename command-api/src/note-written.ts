/** Read your own write (P11): every command's answer names the positions it reflects, and they are remembered for the principal's next reads. */
import { encodeToken, type WrittenPositions } from '@portolan/infra/consistency-token.ts'
import type { Response } from 'express'
import type { Positions } from './event-store/read.ts'

export type NoteWritten = (
  res: Response,
  who: { tenantId: string; principal: string },
  positions: Positions,
  streams: readonly string[],
) => Promise<void>

/** streams: what was written. generation: of the log, never older than the positions that are noted. The header is set before the answer is sent; remembering never fails an answer. */
export function createNoteWritten(written: WrittenPositions, generation: () => number): NoteWritten {
  return async (res, { tenantId, principal }, positions, streams) => {
    const reflected = { generation: generation(), positions, streams }
    res.set('Consistency-Token', encodeToken(reflected))
    await written.remember(tenantId, principal, reflected)
  }
}
