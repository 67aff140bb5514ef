/** What the relay reports: whether somebody leads, how far Kafka is behind the store, and how much was sent. */
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type { ShardPhase } from './shard.ts'

export interface RelayMetrics {
  setPhase(shard: number, phase: ShardPhase): void
  /** lag: events committed and not yet acknowledged by Kafka. */
  setLag(shard: number, partitions: readonly { topic: string; partition: number; lag: number }[]): void
  /** Age in seconds of the oldest event on its way. */
  setAge(shard: number, seconds: number): void
  sent(topic: string, events: number): void
}

/** Only a leader reports lag and age: what a stand-by knows is old. */
export function createRelayMetrics(metrics: Metrics): RelayMetrics {
  const leading = metrics.gauge('relay_leading', '1: this process sends the shard', ['shard'])
  const refused = metrics.gauge('relay_refused', '1: store and Kafka contradict each other, nothing is sent', ['shard'])
  const lag = metrics.gauge('relay_lag_events', 'Events committed and not yet in Kafka', ['topic', 'partition'])
  const age = metrics.gauge('relay_lag_seconds', 'Age of the oldest event that is being sent', ['shard'])
  const sentEvents = metrics.counter('relay_sent_events_total', 'Events acknowledged by Kafka', ['topic'])
  const reported = new Map<number, readonly { topic: string; partition: number }[]>()
  return {
    setPhase(shard, phase) {
      leading.set({ shard }, phase === 'leading' ? 1 : 0)
      refused.set({ shard }, phase === 'refused' ? 1 : 0)
      if (phase !== 'leading') {
        for (const { topic, partition } of reported.get(shard) ?? []) lag.remove({ topic, partition })
        reported.delete(shard)
        age.remove({ shard })
      }
    },
    setLag(shard, partitions) {
      reported.set(shard, partitions)
      for (const { topic, partition, lag: events } of partitions) lag.set({ topic, partition }, events)
    },
    setAge: (shard, seconds) => age.set({ shard }, seconds),
    sent: (topic, events) => sentEvents.inc({ topic }, events),
  }
}
