/**
 * Who a member's request comes from, by the kind of its tenant. Order and wording are the loyalty API contract's
 * (sections 1 and 4): tenant, then the form of the member id, then the credential.
 *
 * CoffeeChain's key is one for the whole programme: it proves the programme, not the member. That the member exists only
 * the partner can say.
 */
import { timingSafeEqual } from 'node:crypto'
import type { IntrospectionAnswer, RefusedIdentity } from '@portolan/infra/http/credentials.ts'
import type { ProblemCode } from '@portolan/schemas/errors.ts'
import type { TenantSettings } from '@portolan/schemas/tenants/messages.ts'
import { credentialHash, type FindTenant, type Tenant } from './tenants.ts'

export interface MemberCredentials {
  /** As sent; null when absent. */
  tenantId: string | null
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>
}

const MEMBER_ID_LENGTH_MAX = 50
const BAD_CREDENTIALS = 'Invalid or expired authentication credentials'

/** A member's identity with the tenant's settings, or the refusal with its code and detail. Faults are thrown. */
export async function authenticateMember(
  findTenant: FindTenant,
  { tenantId, headers }: MemberCredentials,
): Promise<IntrospectionAnswer> {
  if (!tenantId) return invalid('X-Tenant-ID', 'Is required')
  const tenant = await findTenant(tenantId)
  if (!tenant) return refused('unauthorized', BAD_CREDENTIALS)
  switch (tenant.settings.kind) {
    case 'coffeechain':
      return authenticateCoffeechain(tenant, headers)
  }
}

function authenticateCoffeechain(tenant: Tenant, headers: Readonly<Record<string, string>>): IntrospectionAnswer {
  const memberId = headers['x-cc-member-id']
  if (!memberId) return invalid('X-CC-Member-ID', 'Is required')
  if (!isMemberId(tenant.settings, memberId)) return invalid('X-CC-Member-ID', 'Must be a member id of this programme')
  const key = headers['x-cc-api-key'] ?? ''
  if (!timingSafeEqual(credentialHash(key), tenant.credentialSha256)) return refused('unauthorized', BAD_CREDENTIALS)
  return {
    kind: 'member',
    tenantId: tenant.settings.tenantId,
    memberId,
    principal: `member:${memberId}`,
    tenant: tenant.settings,
  }
}

const isMemberId = ({ memberIdPattern }: TenantSettings, memberId: string): boolean =>
  memberId.length <= MEMBER_ID_LENGTH_MAX && new RegExp(memberIdPattern).test(memberId)

function invalid(header: string, message: string): RefusedIdentity {
  return refused('validation-error', `${header}: ${message}`, { errors: [{ field: header, message }] })
}

function refused(code: ProblemCode, detail: string, members: Record<string, unknown> = {}): RefusedIdentity {
  return { kind: 'refused', code, detail, members }
}
