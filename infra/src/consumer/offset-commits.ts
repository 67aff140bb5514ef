/**
 * Group offsets on their way to Kafka. A commit after every batch cost the broker and us as much as the batch itself; so offsets of
 * all partitions go together, at most once per `everyMs`. Late is safe and early is not: what was done and not committed is done
 * again, and such effects are idempotent.
 */
import type { Checkpoint, CommitOffset, Partition } from './consume.ts'

const EVERY_MS = 200

export type PartitionCheckpoint = Partition & Checkpoint

export interface OffsetCommits {
  /** Commits within `everyMs`. Resolves at once; after `finish`, when it is done. */
  soon: CommitOffset
  /** Drops what was not committed yet: its partitions may be another member's by now. */
  forget(): void
  /** Commits what is left, and from here on everything at once. Never rejects. */
  finish(): Promise<void>
}

/** send: one commit for several partitions. What it rejects is told to `onError` and tried again. */
export function createOffsetCommits(
  send: (checkpoints: readonly PartitionCheckpoint[]) => Promise<void>,
  { everyMs = EVERY_MS, onError }: { everyMs?: number; onError: (error: unknown) => void },
): OffsetCommits {
  const waiting = new Map<string, PartitionCheckpoint>()
  let timer: NodeJS.Timeout | undefined
  let isFinishing = false
  /** Counts calls of `forget`: what failed before one is not tried again. */
  let assignment = 0

  async function sendAll(): Promise<void> {
    timer = undefined
    const sent = [...waiting.values()]
    if (sent.length === 0) return
    const sentFor = assignment
    waiting.clear()
    try {
      await send(sent)
    } catch (error) {
      onError(error)
      if (assignment !== sentFor || isFinishing) return
      for (const checkpoint of sent) if (!waiting.has(keyOf(checkpoint))) waiting.set(keyOf(checkpoint), checkpoint)
      sendLater()
    }
  }

  function sendLater(): void {
    timer ??= setTimeout(sendAll, everyMs)
  }

  return {
    soon: async ({ topic, partition }, checkpoint) => {
      waiting.set(keyOf({ topic, partition }), { topic, partition, ...checkpoint })
      if (isFinishing) await sendAll()
      else sendLater()
    },
    forget: () => {
      assignment += 1
      waiting.clear()
    },
    finish: () => {
      isFinishing = true
      clearTimeout(timer)
      return sendAll()
    },
  }
}

const keyOf = ({ topic, partition }: Partition): string => `${topic}/${partition}`
