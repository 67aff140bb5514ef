/**
 * Tells the other processes that a person was forgotten, so that they drop what they have opened at once. Without Redis they do so
 * within the minute they keep it. Says nothing about the person.
 */
import type { Redis } from 'ioredis'

const channelOf = (keyPrefix: string): string => `${keyPrefix}forgotten`

/** Never fails: the minute stands. */
export async function announceForget(redis: Redis, keyPrefix: string): Promise<void> {
  await redis.publish(channelOf(keyPrefix), '').catch(() => undefined)
}

/** Calls `drop` for every forget, and after each time the connection was lost, since one may have been missed. */
export function onForget(subscriber: Redis, keyPrefix: string, drop: () => void): void {
  const channel = channelOf(keyPrefix)
  subscriber.on('message', (from) => from === channel && drop())
  subscriber.on('ready', drop)
  subscriber.subscribe(channel).catch(() => undefined) // subscribes again with the next connection
}
