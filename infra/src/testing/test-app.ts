/** A real HTTP server around the routes under test, with everything `createApp` puts in front of them. */
import type { Express } from 'express'
import { type ProblemSerializer, problemHandler } from '../http/problem.ts'
import { type AppDeps, createApp, listen } from '../http/server.ts'
import { createMetrics, type Metrics } from '../telemetry.ts'
import { createRecordingLogger, type LoggedLine } from './recording-logger.ts'

export interface TestApp {
  url: string
  lines: LoggedLine[]
  metrics: Metrics
  /** A request to a path of this app; an object becomes a JSON body and POST the default method then. */
  fetch(path: string, options?: Omit<RequestInit, 'body'> & { body?: unknown }): Promise<Response>
  stop(): Promise<void>
}

/** Starts it on a free port. `mount` adds the routes; `problemHandler` comes behind them. Call `stop` in `after`. */
export async function startTestApp(
  mount: (app: Express) => void,
  options: Partial<AppDeps> & { serializers?: Record<string, ProblemSerializer>; stopWithinMs?: number } = {},
): Promise<TestApp> {
  const { serializers, stopWithinMs, ...deps } = options
  const logger = createRecordingLogger()
  const metrics = createMetrics('test')
  const app = createApp({ process: 'test', logger, metrics, ready: async () => ({}), ...deps })
  mount(app)
  app.use(...problemHandler({ logger, serializers }))
  const { url, stop } = await listen(app, 0, '127.0.0.1', { stopWithinMs })
  return {
    url,
    lines: logger.lines,
    metrics,
    fetch: (path, { body, headers, ...rest } = {}) => {
      const isJson = typeof body === 'object' && body !== null
      return fetch(`${url}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...(isJson ? { 'content-type': 'application/json' } : {}), ...headers },
        body: isJson ? JSON.stringify(body) : (body as string | undefined),
        ...rest,
      })
    },
    stop,
  }
}
