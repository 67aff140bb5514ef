/** Which processes `npm start` runs, where they listen and what each is told. */
import type { Prepared } from './prepare.ts'
import type { DevelopmentSecrets } from './secrets.ts'

export type ProcessPlan = {
  name: string
  /** Relative to the root of the repository. */
  entry: string
  port: number
  /** Variable that moves the port elsewhere. */
  portVariable: string
  env: Record<string, string>
  /** False for a stand-in, which has the health routes of whom it stands for, not ours. */
  isOurs: boolean
  /** Bounds of V8's heap in MB: without them it grows long before it cleans up. */
  heapMb: number
}

const PORTS = {
  EDGE_PORT: { standard: 8080, purpose: 'the system' },
  EDGE_METRICS_PORT: { standard: 3006, purpose: "the edge's metrics" },
  COMMAND_API_PORT: { standard: 3001, purpose: 'command-api' },
  QUERY_API_PORT: { standard: 3002, purpose: 'query-api' },
  WORKERS_PORT: { standard: 3003, purpose: 'workers' },
  PROJECTIONS_PORT: { standard: 3004, purpose: 'projections' },
  RELAY_PORT: { standard: 3005, purpose: 'relay' },
  SANDBOX_COFFEECHAIN_PORT: { standard: 8001, purpose: 'the stand-in for CoffeeChain' },
  SANDBOX_DUFFEL_PORT: { standard: 8010, purpose: 'the stand-in for Duffel' },
} as const

export type PortVariable = keyof typeof PORTS

/** The port that a variable names, else its documented one. NaN when the variable is no number. */
export function portOf(variable: PortVariable, env: NodeJS.ProcessEnv): number {
  return Number(env[variable] || PORTS[variable].standard)
}

/** Every port that a start needs, and for what. Those of stand-ins that are not started are left out. */
export function neededPorts(env: NodeJS.ProcessEnv): { variable: PortVariable; port: number; purpose: string }[] {
  return (Object.keys(PORTS) as PortVariable[])
    .filter((variable) => !(variable === 'SANDBOX_DUFFEL_PORT' && usesDuffel(env)))
    .filter((variable) => !(variable === 'SANDBOX_COFFEECHAIN_PORT' && env.COFFEECHAIN_API_URL))
    .map((variable) => ({ variable, port: portOf(variable, env), purpose: PORTS[variable].purpose }))
}

/** What the seed is told: as our processes are, and to load the sample of stays unless this is production. */
export function seedEnvironment(env: NodeJS.ProcessEnv, plans: readonly ProcessPlan[]): NodeJS.ProcessEnv {
  const ofProcesses = plans.filter(({ isOurs }) => isOurs).map((plan) => plan.env)
  const SEED_STAYS = env.SEED_STAYS || (env.NODE_ENV === 'production' ? 'false' : 'true')
  return Object.assign({}, env, ...ofProcesses, { SEED_STAYS })
}

const usesDuffel = (env: NodeJS.ProcessEnv) => Boolean(env.DUFFEL_ACCESS_TOKEN || env.DUFFEL_API_KEY)

/**
 * The processes in stages: those of one stage start together, once the stage before is ready; they stop in reverse.
 * A stand-in is left out when the environment names the real thing.
 */
export function planProcesses(
  env: NodeJS.ProcessEnv,
  prepared: Prepared,
  secrets: DevelopmentSecrets,
): ProcessPlan[][] {
  const port = (variable: PortVariable) => portOf(variable, env)
  const local = (variable: PortVariable) => `http://127.0.0.1:${port(variable)}`
  const isProduction = env.NODE_ENV === 'production'
  const { DATABASE_URL: _, ...services } = prepared.env
  const shared: Record<string, string> = {
    ...services,
    SERVICE_TOKEN: env.SERVICE_TOKEN || secrets.SERVICE_TOKEN,
    COMMAND_API_URL: local('COMMAND_API_PORT'),
    WORKERS_URL: local('WORKERS_PORT'),
    TEST_MODE: env.TEST_MODE || (isProduction ? 'false' : 'true'),
  }
  const suppliers = {
    ...(!usesDuffel(env) && {
      DUFFEL_ACCESS_TOKEN: 'duffel_test_sandbox',
      DUFFEL_API_URL: local('SANDBOX_DUFFEL_PORT'),
    }),
    COFFEECHAIN_API_URL: env.COFFEECHAIN_API_URL || local('SANDBOX_COFFEECHAIN_PORT'),
  }
  const webhookSecret = env.DUFFEL_WEBHOOK_SECRET || (usesDuffel(env) ? '' : secrets.DUFFEL_WEBHOOK_SECRET)
  const webhooks = {
    SANDBOX_WEBHOOK_URL: `${local('COMMAND_API_PORT')}/hooks/duffel`,
    SANDBOX_WEBHOOK_SECRET: webhookSecret,
  }
  const keys = {
    DUFFEL_WEBHOOK_SECRET: webhookSecret,
    PERSONAL_DATA_KEYS: env.PERSONAL_DATA_KEYS || secrets.PERSONAL_DATA_KEYS,
    STAFF_JWT_KEYS: env.STAFF_JWT_KEYS || secrets.STAFF_JWT_KEYS,
  }
  const { commandApi, projections, queryApi } = prepared.databases
  const plan = (
    name: string,
    entry: string,
    portVariable: PortVariable,
    extra: Record<string, string>,
    heapMb = 256,
  ) => ({
    name,
    entry,
    port: port(portVariable),
    portVariable,
    env: { ...shared, [portVariable]: String(port(portVariable)), ...extra },
    isOurs: !name.startsWith('sandbox-'),
    heapMb,
  })
  const standIns = [
    ...(usesDuffel(env)
      ? []
      : [plan('sandbox-duffel', 'infra/sandbox/main-duffel.ts', 'SANDBOX_DUFFEL_PORT', webhooks)]),
    ...(env.COFFEECHAIN_API_URL
      ? []
      : [plan('sandbox-coffeechain', 'infra/sandbox/main-coffeechain.ts', 'SANDBOX_COFFEECHAIN_PORT', {})]),
  ]
  return [
    [
      ...standIns,
      plan('command-api', 'command-api/src/main.ts', 'COMMAND_API_PORT', { WRITE_DATABASE_URL: commandApi, ...keys }),
      plan('relay', 'command-api/src/relay.ts', 'RELAY_PORT', { WRITE_DATABASE_URL: commandApi }),
    ],
    [
      plan('workers', 'workers/src/main.ts', 'WORKERS_PORT', suppliers),
      plan('projections', 'projections/src/main.ts', 'PROJECTIONS_PORT', { READ_DATABASE_URL: projections }),
      plan('query-api', 'query-api/src/main.ts', 'QUERY_API_PORT', { READ_DATABASE_URL: queryApi }),
    ],
  ]
}
