/** `stay_properties`: what guests can find and search by. */
import type { ProjectedEvent, ProjectionTx } from '@portolan/infra/consumer/projection.ts'
import type { PropertyFacts } from '@portolan/schemas/stays/messages.ts'
import { type StreamRow, streamKey } from '../fold-streams.ts'
import type { PropertyEvent } from './stays.ts'

export interface PropertyRow extends StreamRow {
  propertyId: string
  facts: PropertyFacts
  isRetired: boolean
}

/** Throws when a property does not begin with its registration: its stream is parked then. */
export function evolveProperty(row: PropertyRow | null, event: ProjectedEvent & PropertyEvent): PropertyRow {
  const { tenantId, streamVersion, type, data } = event
  if (type === 'PropertyRegistered' || (type === 'PropertyDescribed' && row)) {
    const { propertyId, description, capacity, nightlyPrice, location } = data
    const facts = { description, capacity, nightlyPrice, location }
    return { tenantId, streamVersion, propertyId, facts, isRetired: false }
  }
  if (!row) throw new Error(`a property begins with PropertyRegistered, not with ${type}`)
  return { ...row, isRetired: true }
}

interface Stored {
  tenant_id: string
  property_id: string
  description: string
  capacity: number | null
  price_minor: number | null
  price_currency: string | null
  latitude: number | null
  longitude: number | null
  is_retired: boolean
  stream_version: number
}

const columns = `tenant_id, property_id, description, capacity, price_minor, price_currency, latitude, longitude, is_retired, stream_version`

export async function loadProperties(
  tx: ProjectionTx,
  streams: readonly { tenantId: string; stream: string }[],
): Promise<Map<string, PropertyRow>> {
  const { rows } = await tx.query<Stored>({
    text: `select ${columns} from ${tx.schema}.stay_properties
           where (tenant_id, property_id) in (select * from unnest($1::text[], $2::text[]))`,
    values: [streams.map(({ tenantId }) => tenantId), streams.map(({ stream }) => stream.slice('property-'.length))],
  })
  return new Map(rows.map((row) => [streamKey(row.tenant_id, `property-${row.property_id}`), rowOf(row)]))
}

export async function saveProperties(tx: ProjectionTx, rows: readonly PropertyRow[]): Promise<void> {
  await tx.query({
    name: `save-properties-${tx.schema}`,
    text: `insert into ${tx.schema}.stay_properties as p (${columns})
           select ${columns}
           from jsonb_to_recordset($1) as r (tenant_id text, property_id text, description text, capacity integer, price_minor bigint,
             price_currency text, latitude float8, longitude float8, is_retired boolean, stream_version bigint)
           on conflict (tenant_id, property_id) do update
           set description = excluded.description, capacity = excluded.capacity, price_minor = excluded.price_minor,
               price_currency = excluded.price_currency, latitude = excluded.latitude, longitude = excluded.longitude,
               is_retired = excluded.is_retired, stream_version = excluded.stream_version
           where p.stream_version < excluded.stream_version`,
    values: [JSON.stringify(rows.map(storedOf))],
  })
}

function rowOf({ price_minor, price_currency, latitude, longitude, ...row }: Stored): PropertyRow {
  const nightlyPrice =
    price_minor === null || price_currency === null ? null : { amountMinor: price_minor, currency: price_currency }
  const location = latitude === null || longitude === null ? null : { latitude, longitude }
  return {
    tenantId: row.tenant_id,
    propertyId: row.property_id,
    facts: { description: row.description, capacity: row.capacity, nightlyPrice, location },
    isRetired: row.is_retired,
    streamVersion: row.stream_version,
  }
}

const storedOf = ({ tenantId, propertyId, facts, isRetired, streamVersion }: PropertyRow): Stored => ({
  tenant_id: tenantId,
  property_id: propertyId,
  description: facts.description,
  capacity: facts.capacity,
  price_minor: facts.nightlyPrice?.amountMinor ?? null,
  price_currency: facts.nightlyPrice?.currency ?? null,
  latitude: facts.location?.latitude ?? null,
  longitude: facts.location?.longitude ?? null,
  is_retired: isRetired,
  stream_version: streamVersion,
})
