/** Who changes a staff account, for the audit trail. */
import { contextOf } from '@portolan/infra/http/server.ts'
import { staffOf } from '@portolan/infra/http/staff-auth.ts'
import type { Response } from 'express'
import type { CommandContext } from '../event-store/handle-command.ts'

/** The context of a command that the signed-in member of staff gives about an account. */
export function staffContext(res: Response): Omit<CommandContext, 'tenantId'> {
  return { ...contextOf(res), actor: { kind: 'staff', id: staffOf(res).accountId }, causationId: null }
}
