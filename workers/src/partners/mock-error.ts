/** Which of a booking's partner calls an `X-Mock-Error` travels with. Source: loyalty-api.md section 6. */

export type PartnerCallKind = 'balance' | 'approval' | 'deduct' | 'refund'

const onlyWith: Readonly<Record<string, PartnerCallKind | undefined>> = {
  'insufficient-balance': 'deduct',
  'api-timeout': 'deduct',
  'approval-required': 'approval',
}
const withEvery: readonly string[] = ['auth-failed', 'true']

/** The value to send with a call of this kind; undefined to send none. Values that no partner knows are never sent. */
export function mockErrorFor(kind: PartnerCallKind, mockError: string | undefined): string | undefined {
  if (mockError === undefined) return undefined
  return withEvery.includes(mockError) || onlyWith[mockError] === kind ? mockError : undefined
}
