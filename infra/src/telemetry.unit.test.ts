import { expect } from 'chai'
import { createMetrics } from './telemetry.ts'

describe('metrics', () => {
  it("are named for the product, labelled with the process, and beside Node's own", async () => {
    const metrics = createMetrics('command-api')
    metrics.counter('things_total', 'Things', ['kind']).inc({ kind: 'a' })
    metrics.gauge('depth', 'Depth').set(3)
    metrics.histogram('wait_seconds', 'Waits', [], [0.1, 1]).observe(0.5)
    const text = await metrics.registry.metrics()
    expect(text).to.include('portolan_things_total{kind="a",process="command-api"} 1')
    expect(text).to.include('portolan_depth{process="command-api"} 3')
    expect(text).to.match(/portolan_wait_seconds_bucket\{le="1",process="command-api"\} 1/)
    expect(text).to.include('process_resident_memory_bytes')
  })

  it('are the same when asked for twice, and apart in two registries', async () => {
    const metrics = createMetrics('one')
    metrics.counter('things_total', 'Things').inc()
    metrics.counter('things_total', 'Things').inc()
    createMetrics('two').counter('things_total', 'Things').inc()
    expect(await metrics.registry.getSingleMetricAsString('portolan_things_total')).to.include('} 2')
  })
})
