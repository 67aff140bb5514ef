/** Reads a reference database of stays (contract section 1): `property` and `reservation`, as they were at one moment, a piece at a time. */
import { sourceReservationId } from '@portolan/schemas/stays/source-ids.ts'
import pg from 'pg'
import { Obstacle } from '../launch/say.ts'

/** The longest rows, all at once, stay below what one request may hold. */
const ROWS_MAX = 300

export interface SourceProperty {
  propertyId: string | null
  description: string | null
}
export interface SourceReservation {
  reservationId: string
  propertyId: string | null
  /** As Postgres writes it: `2021-01-31`, or what no calendar of ours has (`infinity`). */
  startDate: string | null
  nights: number | null
}

export interface StaysSource {
  /** Properties and reservations together. */
  total: number
  properties(): AsyncGenerator<SourceProperty[]>
  /** By property and day; the ids follow from the rows, so every run gives the same. */
  reservations(): AsyncGenerator<SourceReservation[]>
  close(): Promise<void>
}

/** Opens it for reading only. Rejects with an Obstacle when it cannot be reached or has no such tables. */
export async function openStaysSource(url: string): Promise<StaysSource> {
  await using cleanup = new AsyncDisposableStack()
  const client = await connect(url)
  cleanup.defer(() => client.end())
  await client.query('begin isolation level repeatable read read only')
  // Dates that read as ISO whatever the server's own style.
  await client.query("set local datestyle to 'ISO, YMD'")
  const total = await countRows(client)
  const open = cleanup.move()
  return {
    total,
    // One character more than there may be: what is too long is refused there, and does not fill our memory here.
    properties: () =>
      pieces<SourceProperty>(
        client,
        `select left(property_id, 65) as "propertyId", left(description, 2001) as description from property order by property_id`,
      ),
    reservations: () => withIds(client),
    close: () => open.disposeAsync(),
  }
}

async function connect(url: string): Promise<pg.Client> {
  try {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'stays import',
      connectionTimeoutMillis: 5000,
    })
    // A connection that breaks is reported by the query that is under way.
    client.on('error', () => {})
    await client.connect()
    return client
  } catch (error) {
    throw new Obstacle(`The database to import from cannot be reached (${(error as Error).message}).`)
  }
}

async function countRows(client: pg.Client): Promise<number> {
  try {
    // Asks for every column, so that a missing one is known before anything is loaded.
    const { rows } = await client.query<{ total: string }>(
      `select (select count(*) from (select property_id, description from property) p)
         + (select count(*) from (select property_id, start_date, number_of_nights from reservation) r) as total`,
    )
    return Number(rows[0]?.total ?? 0)
  } catch (error) {
    throw new Obstacle(
      `The database to import from needs the tables property(property_id, description) and reservation(property_id, start_date, number_of_nights): ${(error as Error).message}.`,
    )
  }
}

async function* withIds(client: pg.Client): AsyncGenerator<SourceReservation[]> {
  let last = ''
  let nth = 0
  const rows = pieces<Omit<SourceReservation, 'reservationId'>>(
    client,
    `select left(property_id, 65) as "propertyId", start_date::text as "startDate", number_of_nights::float8 as nights
     from reservation order by property_id, start_date, number_of_nights`,
  )
  for await (const piece of rows) {
    yield piece.map((row) => {
      // Identical rows come one after the other.
      const content = JSON.stringify(row)
      nth = content === last ? nth + 1 : 0
      last = content
      return { reservationId: sourceReservationId(row, nth), ...row }
    })
  }
}

/** What a query finds, through a cursor: the server keeps it, we hold one piece. */
async function* pieces<R extends object>(client: pg.Client, query: string): AsyncGenerator<R[]> {
  await client.query(`declare piece no scroll cursor for ${query}`)
  for (;;) {
    const { rows } = await client.query<R>(`fetch ${ROWS_MAX} from piece`)
    if (rows.length > 0) yield rows
    if (rows.length < ROWS_MAX) break
  }
  await client.query('close piece')
}
