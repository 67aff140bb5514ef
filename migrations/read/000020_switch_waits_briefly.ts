/**
 * A switch waits for no lock longer than a moment: whoever holds one, a paused consumer say, would make it hold the live version
 * still, and every reader with it. It is refused then (lock_not_available) and can be asked for again. Older code calls it alike.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`alter function switch_projection(text, integer) set lock_timeout = '300ms'`)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
