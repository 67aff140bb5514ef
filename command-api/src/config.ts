/** Settings of command-api. Durations are here so that fault tests can run in seconds; the defaults are production's. */
import { fieldsAreValid, sharedFields } from '@portolan/infra/config.ts'
import { intervalRuleSchema } from '@portolan/schemas/stays/periods.ts'
import { z } from 'zod'
import type { ProcessTimes } from './bookings/process.ts'

const duration = (env: string, fallbackMs: number, description: string) =>
  z.coerce
    .number()
    .int()
    .min(0)
    .max(30 * 86_400_000)
    .default(fallbackMs)
    .meta({ env, description: `${description}, in ms` })

const second = 1000
const minute = 60 * second
const hour = 60 * minute

const {
  nodeEnv,
  logLevel,
  httpHost,
  redisUrl,
  redisKeyPrefix,
  writeDatabaseUrl,
  serviceToken,
  workersUrl,
  rateLimit,
  testMode,
} = sharedFields

/** Of topics that the log does not know yet; whoever opens the store first decides. */
export const logPartitions = z.coerce.number().int().min(1).max(1024).default(16).meta({
  env: 'LOG_PARTITIONS',
  description: 'partitions per topic when the log is made, and never changed; 64 in production',
})

export const intervalRule = intervalRuleSchema.default('nights').meta({
  env: 'OTA_INTERVAL',
  description: 'which days a stay occupies and asks for: nights, closed or literal',
})

const rateTable = z.record(z.string().length(3), z.string().regex(/^\d{1,8}(\.\d{1,8})?$/))

export const commandApiConfigSchema = z
  .object({
    nodeEnv,
    logLevel,
    httpHost,
    redisUrl,
    redisKeyPrefix,
    writeDatabaseUrl,
    serviceToken,
    workersUrl,
    rateLimit,
    testMode,
    logPartitions,
    port: sharedFields.port('COMMAND_API_PORT', 3001, 'port of command-api'),
    databaseConnectionsMax: z.coerce.number().int().min(2).max(50).default(6).meta({
      env: 'COMMAND_API_DATABASE_CONNECTIONS_MAX',
      description: 'connections for reads; commits have one of their own',
    }),
    personalDataKeys: z.string().meta({
      env: 'PERSONAL_DATA_KEYS',
      description: 'id:base64 keys of 32 bytes that wrap personal keys, the first is used for new ones',
      secret: true,
    }),
    staffJwtKeys: z.string().meta({
      env: 'STAFF_JWT_KEYS',
      description: 'id:base64 keys of 32 bytes that sign staff tokens, the first signs',
      secret: true,
    }),
    duffelWebhookSecret: z.string().default('').meta({
      env: 'DUFFEL_WEBHOOK_SECRET',
      description: 'checks webhooks of Duffel; without it they are refused',
      secret: true,
    }),
    exchangeRatesDate: z.iso
      .date()
      .default('2026-11-01')
      .meta({ env: 'EXCHANGE_RATES_DATE', description: 'day of the exchange rates' }),
    exchangeRates: z
      .string()
      .default('{"EUR":"1.0850","GBP":"1.2740","CAD":"0.7190","AUD":"0.6580","CHF":"1.1320","JPY":"0.0066"}')
      .transform((text, refusal) => {
        const parsed = rateTable.safeParse(parseJson(text))
        if (parsed.success) return parsed.data
        refusal.addIssue({
          code: 'custom',
          message: 'must be a JSON object of US dollars per unit, as decimal strings',
        })
        return z.NEVER
      })
      .meta({
        env: 'EXCHANGE_RATES_TO_USD',
        description: 'US dollars per unit of each currency; fares without a rate are left out',
      }),
    searchDeadlineMs: duration('SEARCH_DEADLINE_MS', 20 * second, 'how long suppliers may take to answer a search'),
    lookupTimeoutMs: duration('LOOKUP_TIMEOUT_MS', 12 * second, 'how long a balance or approval lookup may take'),
    waitDefaultSeconds: z.coerce.number().int().min(0).max(30).default(30).meta({
      env: 'WAIT_DEFAULT_SECONDS',
      description: 'how long create and cancel wait for the outcome without a Prefer header, in s',
    }),
    intervalRule,
    // 20,000 a second: more than a process can answer, so that only who floods it or sets a lower one meets it.
    guestRateLimit: z.coerce.number().int().positive().default(1_200_000).meta({
      env: 'GUEST_RATE_LIMIT',
      description:
        "requests per minute of a client address to the guests' routes of stays, counted by each process for itself",
    }),
    approvalTtlMs: duration('APPROVAL_TTL_MS', 24 * hour, 'until a pending approval expires'),
    stepWindowMs: duration(
      'STEP_WINDOW_MS',
      30 * second,
      'how late a step before the ticket may be before the booking fails',
    ),
    recheckWindowMs: duration(
      'RECHECK_WINDOW_MS',
      15 * minute,
      'the same for looking the fare up again after an approval',
    ),
    undoWindowMs: duration(
      'UNDO_WINDOW_MS',
      24 * hour,
      'how long a refund or cancellation is retried before a person is asked',
    ),
    reconcileWindowMs: duration(
      'RECONCILE_WINDOW_MS',
      15 * minute,
      'how long an unknown outcome is reconciled before a person is asked',
    ),
    reconcileEveryMs: duration('RECONCILE_EVERY_MS', 5 * second, 'pause between two reconciling reads'),
    settleMs: duration(
      'RECONCILE_SETTLE_MS',
      minute,
      'after this long an unchanged balance means that nothing was moved',
    ),
    pollWindowMs: duration('POLL_WINDOW_MS', 6 * hour, 'how long an accepted order is polled before a person is asked'),
    pollEveryMs: duration('POLL_EVERY_MS', 15 * second, 'pause between two polls of an accepted order'),
    operatorWindowMs: duration(
      'OPERATOR_WINDOW_MS',
      24 * hour,
      'how long an operator has before the entry counts as overdue',
    ),
    lostGraceMs: duration(
      'ATTEMPT_LOST_GRACE_MS',
      40 * second,
      "added to a call's own limits before an unreported attempt counts as unknown",
    ),
    forgottenCallMs: duration(
      'FORGOTTEN_CALL_MS',
      150 * second,
      'how long a call that a restored store has forgotten may be under way: at least the claim window and the longest call',
    ),
  })
  .refine((config) => !(config.testMode && config.nodeEnv === 'production'), {
    path: ['testMode'],
    message: 'must be off when NODE_ENV is production',
    when: fieldsAreValid('testMode', 'nodeEnv'),
  })
  .refine((config) => config.settleMs < config.reconcileWindowMs, {
    path: ['settleMs'],
    message: 'must be shorter than RECONCILE_WINDOW_MS, or nothing could ever be concluded',
    when: fieldsAreValid('settleMs', 'reconcileWindowMs'),
  })

export type CommandApiConfig = z.infer<typeof commandApiConfigSchema>

/** The durations of the booking's process manager. */
export function processTimes(config: CommandApiConfig): ProcessTimes {
  return config
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
