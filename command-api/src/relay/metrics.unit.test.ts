import { createMetrics } from '@portolan/infra/telemetry.ts'
import { expect } from 'chai'
import { createRelayMetrics } from './metrics.ts'

describe('what the relay reports', () => {
  it("drops a shard's lag when it no longer leads, and keeps the other shards'", async () => {
    const metrics = createMetrics('relay-test')
    const report = createRelayMetrics(metrics)
    report.setLag(0, [{ topic: 'bookings', partition: 0, lag: 3 }])
    report.setLag(1, [{ topic: 'bookings', partition: 1, lag: 5 }])
    report.setPhase(0, 'standby')
    const lines = (await metrics.registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith('portolan_relay_lag_events{'))
    expect(lines).to.have.length(1)
    expect(lines[0]).to.match(/partition="1".* 5$/)
  })
})
