/**
 * Structured logs: one JSON object per line on stdout. Messages are constant, facts are fields.
 * Two nets below the callers' care: Errors anywhere in the fields are written out (winston alone prints `{}`),
 * and fields that by their name hold payloads or secrets are left out.
 */
import winston from 'winston'

export type LogFields = Record<string, unknown>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger
}

const LEFT_OUT =
  /^(body|payload|data|input|headers|password|secret|secrets|token|access_?token|refresh_?token|api_?key|authorization|cookie|email|phone|passengers|contact)$/i
const DEPTH_MAX = 6

/**
 * Creates the process's logger. level: `error`, `warn`, `info` (default) or `debug`.
 * destination: for tests; each line without its newline.
 */
export function createLogger(options: {
  process: string
  level?: string
  destination?: NodeJS.WritableStream
}): Logger {
  return winston.createLogger({
    level: options.level ?? 'info',
    defaultMeta: { process: options.process },
    format: winston.format.combine(
      winston.format((info) => Object.assign(info, presentable(info, 0)))(),
      winston.format.timestamp(),
      winston.format.json(),
    ),
    transports: [
      options.destination
        ? new winston.transports.Stream({ stream: options.destination })
        : new winston.transports.Console(),
    ],
  })
}

/**
 * An error as plain fields: name, message, code, stack and causes.
 * Nothing else is taken over: database errors carry row values in `detail`, HTTP errors whole bodies.
 */
export function describeError(error: unknown, depth = 0): LogFields {
  if (!(error instanceof Error)) return { message: String(error) }
  const { code, constraint } = error as { code?: unknown; constraint?: unknown }
  return {
    name: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(constraint === undefined ? {} : { constraint }),
    stack: error.stack,
    ...(error.cause === undefined || depth >= DEPTH_MAX ? {} : { cause: describeError(error.cause, depth + 1) }),
    ...(error instanceof AggregateError && depth < DEPTH_MAX
      ? { errors: error.errors.slice(0, 10).map((inner) => describeError(inner, depth + 1)) }
      : {}),
  }
}

function presentable(value: unknown, depth: number): unknown {
  if (value instanceof Error) return describeError(value, depth)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (depth >= DEPTH_MAX) return '[deeper]'
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => presentable(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      LEFT_OUT.test(name) ? '[left out]' : presentable(item, depth + 1),
    ]),
  )
}
