/** What every consumer reports: lag and alarms per partition, events, retries, and how long things take. */
import type { Gauge } from 'prom-client'
import type { Metrics } from '../telemetry.ts'
import type { EventBatch, Partition } from './consume.ts'

export interface ConsumerMetrics {
  setLag(partition: Partition, records: number): void
  setStopped(partition: Partition): void
  applied(batch: EventBatch, elapsedMs: number): void
  skipped(duplicates: number): void
  retried(): void
  /** Partitions may belong to another process from now on, and two reporting one partition would add up. */
  forgetPartitions(): void
}

/** consumer: the label that tells a process's consumers apart. */
export function createConsumerMetrics(metrics: Metrics, consumer: string): ConsumerMetrics {
  const partitionLabels = ['consumer', 'topic', 'partition']
  const lag = metrics.gauge('consumer_lag_records', 'Records in Kafka behind the checkpoint', partitionLabels)
  const stopped = metrics.gauge('consumer_partition_stopped', '1: the partition stopped with an alarm', partitionLabels)
  const events = metrics.counter('consumer_events_total', 'Events seen, by outcome', ['consumer', 'outcome'])
  const retries = metrics.counter('consumer_retries_total', 'Batches that failed and are tried again', ['consumer'])
  const duration = metrics.histogram('consumer_apply_duration_seconds', 'Time to apply a batch', ['consumer'])
  const delay = metrics.histogram(
    'consumer_event_delay_seconds',
    'From commit in the store to applied, newest event of a batch',
    ['consumer'],
  )
  const known = new Map<string, Partition>()
  const set = (gauge: Gauge, { topic, partition }: Partition, value: number) => {
    known.set(`${topic}/${partition}`, { topic, partition })
    gauge.set({ consumer, topic, partition }, value)
  }
  return {
    setLag: (partition, records) => set(lag, partition, records),
    setStopped: (partition) => set(stopped, partition, 1),
    applied(batch, elapsedMs) {
      events.inc({ consumer, outcome: 'applied' }, batch.events.length)
      duration.observe({ consumer }, elapsedMs / 1000)
      const recordedAt = batch.events.at(-1)?.envelope?.recordedAt
      if (recordedAt) delay.observe({ consumer }, Math.max(0, (Date.now() - Date.parse(recordedAt)) / 1000))
    },
    skipped: (duplicates) => duplicates > 0 && events.inc({ consumer, outcome: 'duplicate' }, duplicates),
    retried: () => retries.inc({ consumer }),
    forgetPartitions() {
      for (const { topic, partition } of known.values()) {
        lag.remove({ consumer, topic, partition })
        stopped.remove({ consumer, topic, partition })
      }
      known.clear()
    },
  }
}
