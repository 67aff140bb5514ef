/** What the processes of a test are told: tenants, short durations, addresses. Shared by the end-to-end tests and the fault laboratory. */
import { randomBytes } from 'node:crypto'

/** A tenant of CoffeeChain's kind beside CoffeeChain itself, with limits no test reaches. */
export const teahouse = {
  tenantId: 'teahouse',
  name: 'Teahouse',
  memberIdPattern: '^TH\\d{7}$',
  credential: 'test_teahouse_key',
  requestsPerMinute: 1_000_000,
  partnerRequestsPerMinute: 1_000_000,
}
export const coffeechain = { tenantId: 'coffeechain', credential: 'test_cc_api_key_12345' }
export const operator = { email: 'operator@portolan.example', password: 'portolan-demo-operator' }

/** Every wait that a fault meets, so that fault tests run in seconds. */
export const shortDurations = {
  STEP_WINDOW_MS: '10000',
  RECONCILE_WINDOW_MS: '20000',
  RECONCILE_EVERY_MS: '300',
  RECONCILE_SETTLE_MS: '2000',
  POLL_EVERY_MS: '300',
  POLL_WINDOW_MS: '20000',
  ATTEMPT_LOST_GRACE_MS: '500',
  FORGOTTEN_CALL_MS: '6000',
  PARTNER_CALL_TIMEOUT_MS: '1500',
  SUPPLIER_CALL_TIMEOUT_MS: '3000',
  SUPPLIER_READ_TIMEOUT_MS: '2000',
  CLAIM_WINDOW_MS: '3000',
  SWEEP_EVERY_MS: '1000',
  SWEEP_GRACE_MS: '1500',
}

export interface Addresses {
  redisUrl: string
  redisKeyPrefix: string
  brokers: readonly string[]
  topicPrefix: string
  /** Where command-api reaches workers. */
  workersUrl: string
  partnerUrl: string
  duffelUrl: string
}

/** What every process is told, with secrets of its own; ports are left to the system. */
export function commonEnvironment(at: Addresses): Record<string, string> {
  return {
    ...shortDurations,
    LOG_LEVEL: 'info',
    TEST_MODE: 'true',
    REDIS_URL: at.redisUrl,
    REDIS_KEY_PREFIX: at.redisKeyPrefix,
    KAFKA_BROKERS: at.brokers.join(','),
    KAFKA_TOPIC_PREFIX: at.topicPrefix,
    SERVICE_TOKEN: randomBytes(24).toString('hex'),
    PERSONAL_DATA_KEYS: `test:${randomBytes(32).toString('base64')}`,
    STAFF_JWT_KEYS: `test:${randomBytes(32).toString('base64')}`,
    WORKERS_URL: at.workersUrl,
    COFFEECHAIN_API_URL: at.partnerUrl,
    DUFFEL_API_URL: at.duffelUrl,
    DUFFEL_ACCESS_TOKEN: 'duffel_test_sandbox',
    COMMAND_API_PORT: '0',
    QUERY_API_PORT: '0',
    PROJECTIONS_PORT: '0',
    RELAY_PORT: '0',
  }
}
