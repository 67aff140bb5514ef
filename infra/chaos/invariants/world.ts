/** Everything the invariants look at, read once when the system is at rest, as plain data: so each of them is a pure function. */
import type { Evidence, PartnerPeriod, StoredEvent } from '../evidence.ts'
import { readKafka } from './read-kafka.ts'
import { readReadSide } from './read-read-side.ts'
import { readPartner, readSupplier } from './read-sandboxes.ts'
import { readStore } from './read-store.ts'
import { type Rebuilt, rebuildAll } from './rebuild.ts'

export interface World {
  evidence: Evidence
  /** When the store was read, a UTC instant. */
  readAt: string
  store: Store
  /** Every record of the log's current topics, per partition in the order of their offsets. */
  records: LogRecord[]
  readSide: ReadSide
  partner: Partner
  supplier: Supplier
  rebuilt: Rebuilt
}

/** The write database. */
export interface Store {
  /** Generation of the log. */
  generation: number
  /** In the order of topic, partition, position. */
  events: StoredEvent[]
  streams: { tenantId: string; stream: string; version: number; topic: string; partition: number }[]
  heads: { topic: string; partition: number; position: number }[]
  openSteps: OpenStepRow[]
  keys: IdempotencyRow[]
  /** Ids of the events that the system itself says are lost: Kafka held them, a restored store does not. */
  saidLost: string[]
  /** Nights that the constraint holds. */
  nights: NightRow[]
  /** Streams that a worker-side consumer could not go on with. */
  parked: { consumer: string; tenantId: string; stream: string; reason: string | null }[]
}

export interface NightRow {
  propertyId: string
  /** `2027-05-01` */
  day: string
}

export interface OpenStepRow {
  tenantId: string
  stream: string
  step: string
  attempt: number
  dueAt: string
  isClaimed: boolean
  /** Of the step's input; for `operator-decision` the call in question and why nobody knows. */
  of: string | null
  why: string | null
}

export interface IdempotencyRow {
  tenantId: string
  principal: string
  method: string
  path: string
  key: string
  reference: string | null
  /** Code of the rejection that was recorded instead. */
  rejection: string | null
}

/** A record of Kafka, by its headers. */
export interface LogRecord {
  topic: string
  partition: number
  offset: number
  position: number
  eventId: string
  tenantId: string
  stream: string
  streamVersion: number
}

/** The read database: live versions only. */
export interface ReadSide {
  checkpoints: { projection: string; topic: string; generation: number; partition: number; position: number }[]
  parked: { projection: string; tenantId: string; stream: string; reason: string }[]
  /** Rows of `booking_details` and `booking_list`. */
  bookings: { table: string; tenantId: string; bookingId: string; status: string; streamVersion: number }[]
  lines: LedgerRow[]
  /** Nights that the index of searches holds. */
  nights: NightRow[]
  balances: { tenantId: string; account: string; currency: string; balance: number; lineCount: number }[]
}

export interface LedgerRow {
  tenantId: string
  stream: string
  streamVersion: number
  account: string
  currency: string
  amount: number
  kind: string
  bookingId: string
}

export interface Partner {
  /** Ended ones, and last the current one. */
  periods: Omit<PartnerPeriod, 'endedAt'>[]
  calls: SandboxCall[]
}

export interface Supplier {
  orders: SupplierOrder[]
  calls: SandboxCall[]
}

export interface SupplierOrder {
  id: string
  type: 'instant' | 'hold'
  /** `booking_id`, `tenant_id` and `attempt` as we sent them. */
  metadata: Partial<Record<string, string>>
  paid: boolean
  cancelled: boolean
}

export interface SandboxCall {
  operation: string
  at: string
  // biome-ignore lint/suspicious/noExplicitAny: what a call names depends on its operation
  facts: Record<string, any>
}

/** Reads it all, and last rebuilds every read model. Rejects when a server or an `ops` command cannot be reached. */
export async function readWorld(evidence: Evidence): Promise<World> {
  const readAt = new Date().toISOString()
  const store = await readStore(evidence.writeUrl)
  const [records, readSide, partner, supplier] = await Promise.all([
    readKafka(evidence.kafka, store.generation),
    readReadSide(evidence.readUrl),
    readPartner(evidence),
    readSupplier(evidence.duffelUrl),
  ])
  return { evidence, readAt, store, records, readSide, partner, supplier, rebuilt: await rebuildAll(evidence) }
}

/** Everything that was ever true for somebody: what is stored, and what a restore took away. */
export function history({ store, evidence }: Pick<World, 'store' | 'evidence'>): StoredEvent[] {
  return [...store.events, ...evidence.lostEvents]
}

/** Events of bookings by tenant and booking, in the order of their versions. */
export function bookings(events: readonly StoredEvent[]): Map<string, StoredEvent[]> {
  const own = events.filter(({ stream }) => stream.startsWith('booking-'))
  const found = Map.groupBy(own, ({ tenantId, stream }) => bookingKey(tenantId, stream.slice('booking-'.length)))
  for (const one of found.values()) one.sort((a, b) => a.streamVersion - b.streamVersion)
  return found
}

export const bookingKey = (tenantId: string, bookingId: string): string => `${tenantId} ${bookingId}`
