/** Per minute: a limit that no benchmark reaches. */
export const UNLIMITED = 100_000_000

/** The tenant whose members a benchmark's load comes from: CoffeeChain's kind, with limits no benchmark reaches. */
export const benchTenant = {
  tenantId: 'benchmark',
  name: 'Benchmark',
  memberIdPattern: '^BM\\d{7}$',
  credential: 'benchmark_key_of_no_use_elsewhere',
  requestsPerMinute: UNLIMITED,
  partnerRequestsPerMinute: UNLIMITED,
  /** Stars; CoffeeChain's own. */
  approvalThreshold: 50_000,
}
