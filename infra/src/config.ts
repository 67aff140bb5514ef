/**
 * Configuration: one typed object per process, read from the environment once by `main.ts`.
 * A field says with `.meta({ env, description })` which variable feeds it; `.meta` comes last in the chain.
 * Unset and empty variables mean the default. Flags are `z.stringbool()`, numbers `z.coerce.number()`.
 */
import { writeSync } from 'node:fs'
import { z } from 'zod'

/** An entry started with this argument prints its variables as JSON and ends, instead of starting. */
export const DESCRIBE_ARGUMENT = '--describe-config'

/** Everything that is wrong with the environment, one sentence per problem; `message` holds them line by line. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** How a field is fed. `aliases` are tried in order when `env` is unset; a `secret` is never quoted in a problem. */
interface FieldMeta {
  env: string
  aliases: readonly string[]
  description: string
  secret: boolean
}

/** One line of `.env.example`: the variable, what it means, and the default as text (null: required or no default). */
export interface ConfigVariable {
  env: string
  aliases: readonly string[]
  description: string
  secret: boolean
  required: boolean
  default: string | null
}

/**
 * Reads a flat object of settings from `env`. Called by a process that was started with DESCRIBE_ARGUMENT it prints
 * `describeConfig(schema)` instead and ends the process: so what is described is what the entry really reads.
 * Throws a ConfigError that names every problem at once; a `refine` over two fields is part of them when it is
 * given `when: fieldsAreValid(…)`, otherwise zod reports it only after all fields are right.
 */
export function loadConfig<S extends z.ZodObject>(
  schema: S,
  env: Readonly<Record<string, string | undefined>> = process.env,
): z.infer<S> {
  if (env === process.env && process.argv.includes(DESCRIBE_ARGUMENT)) {
    writeSync(1, `${JSON.stringify(describeConfig(schema))}\n`)
    process.exit(0)
  }
  const values: Record<string, string | undefined> = {}
  const names = new Map<PropertyKey, { name: string; meta: FieldMeta }>()
  for (const field of Object.keys(schema.shape)) {
    const meta = metaOf(field, schema.shape[field])
    const name = [meta.env, ...meta.aliases].find((candidate) => env[candidate]) ?? meta.env
    values[field] = env[name] || undefined
    names.set(field, { name, meta })
  }
  const parsed = schema.safeParse(values)
  if (parsed.success) return parsed.data
  const { issues } = parsed.error
  const all = [...issues, ...hiddenIssues(schema, values, issues)]
  throw new ConfigError(all.map((issue) => sentence(issue, names, values)))
}

/** Some of zod's types (flags, transforms) end the parse when they fail, so that no pair is compared: ask again without them. */
function hiddenIssues(
  schema: z.ZodObject,
  values: Readonly<Record<string, string | undefined>>,
  found: readonly z.core.$ZodIssue[],
): z.core.$ZodIssue[] {
  const wrong = new Set(found.map(({ path }) => String(path[0])))
  const others = Object.entries(values).filter(([field]) => !wrong.has(field))
  const again = schema.safeParse(Object.fromEntries(others))
  return (again.error?.issues ?? []).filter(({ path }) => !wrong.has(String(path[0])))
}

/** For `refine(…, { when })`: run the comparison of these fields even when other fields have problems. */
export function fieldsAreValid(...fields: string[]) {
  return (payload: { issues: readonly { path?: readonly PropertyKey[] }[] }): boolean =>
    !payload.issues.some((issue) => issue.path?.some((part) => fields.includes(String(part))))
}

/** The variables a schema reads, in the order of its fields: the source of `.env.example` and of the README's table. */
export function describeConfig(schema: z.ZodObject): ConfigVariable[] {
  return Object.keys(schema.shape).map((field) => {
    const meta = metaOf(field, schema.shape[field])
    const type = schema.shape[field] as z.ZodType
    return { ...meta, required: !type.safeParse(undefined).success, default: defaultOf(type) }
  })
}

/** The default as it would be written in the environment, which is before any transformation; null: none. */
function defaultOf(type: z.core.$ZodType | undefined): string | null {
  let current: unknown = type
  while (current instanceof z.ZodType) {
    if (current instanceof z.ZodDefault) return String(current.def.defaultValue)
    const { innerType, in: input } = current.def as { innerType?: unknown; in?: unknown }
    current = innerType ?? input
  }
  return null
}

function sentence(
  issue: z.core.$ZodIssue,
  names: ReadonlyMap<PropertyKey, { name: string; meta: FieldMeta }>,
  values: Readonly<Record<string, string | undefined>>,
): string {
  const field = issue.path[0]
  const known = field === undefined ? undefined : names.get(field)
  if (!known) return `${issue.message}.`
  const value = values[String(field)]
  if (issue.code === 'custom') return `${known.name}: ${issue.message}.`
  if (value === undefined) return `${known.name} is not set: ${known.meta.description}.`
  return `${known.name}: ${issue.message}${known.meta.secret ? '' : ` (it is "${value}")`}.`
}

function metaOf(field: string, type: z.core.$ZodType | undefined): FieldMeta {
  let current: unknown = type
  while (current instanceof z.ZodType) {
    const meta = current.meta()
    if (typeof meta?.env === 'string') {
      return {
        env: meta.env,
        aliases: (meta.aliases as string[] | undefined) ?? [],
        description: String(meta.description ?? field),
        secret: meta.secret === true,
      }
    }
    current = (current.def as { innerType?: unknown }).innerType
  }
  throw new Error(`config field ${field} lacks .meta({ env })`)
}

const port = (env: string, fallback: number, description: string) =>
  z.coerce.number().int().min(0).max(65_535).default(fallback).meta({ env, description })

/** Fields that several processes share, so that each variable has one meaning and one description. */
export const sharedFields = {
  nodeEnv: z
    .enum(['development', 'test', 'production'])
    .default('development')
    .meta({ env: 'NODE_ENV', description: 'production refuses development defaults' }),
  logLevel: z
    .enum(['error', 'warn', 'info', 'debug'])
    .default('info')
    .meta({ env: 'LOG_LEVEL', description: 'least severe level that is logged' }),
  httpHost: z
    .string()
    .default('127.0.0.1')
    .meta({ env: 'HTTP_HOST', description: 'address every process listens on; 0.0.0.0 in containers' }),
  redisUrl: z
    .string()
    .default('redis://127.0.0.1:6379')
    .meta({ env: 'REDIS_URL', description: 'Redis, with database number where wanted' }),
  redisKeyPrefix: z
    .string()
    .default('portolan:')
    .meta({ env: 'REDIS_KEY_PREFIX', description: 'prefix of every key and channel of this installation' }),
  kafkaBrokers: z
    .string()
    .default('127.0.0.1:19092')
    .transform((list) => list.split(',').map((broker) => broker.trim()))
    .meta({ env: 'KAFKA_BROKERS', description: 'comma-separated host:port list' }),
  kafkaTopicPrefix: z
    .string()
    .default('')
    .meta({ env: 'KAFKA_TOPIC_PREFIX', description: 'prefix of every topic and consumer group of this installation' }),
  writeDatabaseUrl: z
    .string()
    .meta({ env: 'WRITE_DATABASE_URL', description: 'write Postgres, as the role of command-api', secret: true }),
  readDatabaseUrl: z
    .string()
    .meta({ env: 'READ_DATABASE_URL', description: 'read Postgres, as the role of this process', secret: true }),
  serviceToken: z
    .string()
    .min(16)
    .meta({ env: 'SERVICE_TOKEN', description: 'shared secret of calls between our processes', secret: true }),
  commandApiUrl: z
    .url()
    .default('http://127.0.0.1:3001')
    .meta({ env: 'COMMAND_API_URL', description: 'where the other processes reach command-api' }),
  workersUrl: z
    .url()
    .default('http://127.0.0.1:3003')
    .meta({ env: 'WORKERS_URL', description: 'where command-api reaches the lookup port of workers' }),
  testMode: z
    .stringbool()
    .default(false)
    .meta({ env: 'TEST_MODE', description: 'honour X-Mock-Error; refused in production' }),
  rateLimit: z.coerce.number().int().positive().default(100).meta({
    env: 'RATE_LIMIT',
    description:
      'requests per minute of a tenant that is seeded without a limit of its own, and of a client address before its tenant is known',
  }),
  port,
} as const
