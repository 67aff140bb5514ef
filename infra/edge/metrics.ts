/**
 * What the edge measures of the requests it passes on. The page stands on a port of its own, on this machine only: on the public port it
 * would be everybody's.
 */
import type { RequestListener, ServerResponse } from 'node:http'
import { createMetrics } from '../src/telemetry.ts'
import type { Owner } from './routes.ts'

export type EdgeMetrics = {
  /** Call it when a request comes in; measures until its answer has left. upstream: who is asked, if anybody. */
  measure: (res: ServerResponse, upstream: Owner | 'none') => void
  /** Answers `GET /metrics` in Prometheus' format, and 404 to anything else. */
  page: RequestListener
}

export function createEdgeMetrics(): EdgeMetrics {
  const metrics = createMetrics('edge')
  const duration = metrics.histogram(
    'edge_request_duration_seconds',
    'Requests by the process they were passed on to',
    ['upstream', 'status'],
  )
  return {
    measure: (res, upstream) => {
      const startedAt = performance.now()
      res.once('close', () => {
        const status = res.writableFinished ? String(res.statusCode) : 'aborted'
        duration.observe({ upstream, status }, (performance.now() - startedAt) / 1000)
      })
    },
    page: async (req, res) => {
      if (req.url !== '/metrics') {
        res.writeHead(404).end()
        return
      }
      res.writeHead(200, { 'Content-Type': metrics.registry.contentType }).end(await metrics.registry.metrics())
    },
  }
}
