/** Metrics in Prometheus' format, one registry per process. Names begin with `portolan_`; units are base units. */
import type { Request, RequestHandler } from 'express'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Seconds; from a cache hit to a waiting booking. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export interface Metrics {
  registry: Registry
  /** name without `portolan_`; labels are the label names. Asking for a name again gives the same metric. */
  counter(name: string, help: string, labels?: readonly string[]): Counter
  gauge(name: string, help: string, labels?: readonly string[]): Gauge
  /** buckets in the metric's unit, default for seconds. */
  histogram(name: string, help: string, labels?: readonly string[], buckets?: readonly number[]): Histogram
}

/** Creates the registry of a process with Node's own metrics in it; every sample is labelled with the process. */
export function createMetrics(process: string): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ process })
  collectDefaultMetrics({ register: registry })
  const existing = (name: string) => registry.getSingleMetric(`portolan_${name}`)
  const options = (name: string, help: string, labels: readonly string[]) => ({
    name: `portolan_${name}`,
    help,
    labelNames: [...labels],
    registers: [registry],
  })
  return {
    registry,
    counter: (name, help, labels = []) =>
      (existing(name) as Counter | undefined) ?? new Counter(options(name, help, labels)),
    gauge: (name, help, labels = []) => (existing(name) as Gauge | undefined) ?? new Gauge(options(name, help, labels)),
    histogram: (name, help, labels = [], buckets = DURATION_BUCKETS) =>
      (existing(name) as Histogram | undefined) ??
      new Histogram({ ...options(name, help, labels), buckets: [...buckets] }),
  }
}

/** Counts and times every request by method, route template and status class. */
export function httpMetrics(metrics: Metrics): RequestHandler {
  const duration = metrics.histogram('http_request_duration_seconds', 'HTTP requests by route template', [
    'method',
    'route',
    'status',
  ])
  return (req, res, next) => {
    const startedAt = performance.now()
    res.once('close', () => {
      const status = res.writableFinished ? `${Math.floor(res.statusCode / 100)}xx` : 'aborted'
      const labels = { method: req.method, route: routeTemplate(req), status }
      duration.observe(labels, (performance.now() - startedAt) / 1000)
    })
    next()
  }
}

/** The template a request matched (`/api/v1/bookings/:bookingId`), `unmatched` for none: a path would be an endless label. */
export function routeTemplate(req: Request): string {
  const route: { path?: unknown } | undefined = req.route
  return typeof route?.path === 'string' ? `${req.baseUrl}${route.path}` : 'unmatched'
}
