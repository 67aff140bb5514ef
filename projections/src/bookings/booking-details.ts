/** `booking_details`: everything one booking's detail needs, for its member and for operators. Passengers stay sealed. */
import type { ProjectedEvent, Projection, ProjectionTx } from '@portolan/infra/consumer/projection.ts'
import type { BookingDetails } from '@portolan/schemas/bookings/read-models.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { foldStreams, type StreamRow, streamKey } from '../fold-streams.ts'
import { evolveProgress, type ShownEvent, shownEvents, startProgress, statusOf } from './booking-progress.ts'

interface Row extends StreamRow {
  bookingId: string
  details: BookingDetails
}

export const bookingDetails: Projection = {
  name: 'booking_details',
  version: 1,
  handles: { [topics.bookings]: shownEvents },
  apply: (events, tx) =>
    foldStreams<Row>(events, {
      load: (streams) => loadRows(tx, streams),
      evolve: (row, event) => ({
        tenantId: event.tenantId,
        bookingId: bookingIdOf(event.stream),
        streamVersion: event.streamVersion,
        details: evolveDetails(row?.details ?? null, event),
      }),
      save: (rows) => saveRows(tx, rows),
    }),
}

/** The booking's id within its stream's name. */
export const bookingIdOf = (stream: string): string => stream.replace(/^booking-/, '')

/** Folds one event into the details. Pure. Throws when a booking does not begin with its request: its stream is parked then. */
export function evolveDetails(
  details: BookingDetails | null,
  projected: Pick<ProjectedEvent, 'type' | 'data'>,
): BookingDetails {
  // The consumer lifted the data to the catalogue's current version and checked it there.
  const event = projected as ShownEvent
  if (event.type === 'BookingRequested') return requested(event.data)
  if (!details) throw new Error(`a booking begins with BookingRequested, not with ${event.type}`)
  const progress = evolveProgress(details.progress, event)
  return { ...changed(details, event), progress, status: statusOf(progress), updatedAt: event.data.at }
}

function requested(data: Extract<ShownEvent, { type: 'BookingRequested' }>['data']): BookingDetails {
  const { bookingId, memberId, personId, offer, price, at } = data
  return {
    bookingId,
    memberId,
    personId,
    status: statusOf(startProgress),
    progress: startProgress,
    flightId: offer.flightId,
    outbound: offer.outbound,
    inbound: offer.inbound,
    price,
    passengers: data.passengers.map(({ type, sealed }) => ({ type, sealed })),
    tickets: [],
    order: null,
    deducted: null,
    refund: null,
    failureReason: null,
    cancelledAt: null,
    createdAt: at,
    updatedAt: at,
  }
}

/** What an event changes besides the progress. */
function changed(d: BookingDetails, event: Exclude<ShownEvent, { type: 'BookingRequested' }>): BookingDetails {
  switch (event.type) {
    case 'HoldPlaced': {
      const { orderId, bookingReference } = event.data
      return { ...d, order: { orderId, bookingReference } }
    }
    case 'PaymentDeducted': {
      const { amount, currency } = event.data
      return { ...d, deducted: deductedTimes(timesDeducted(d) + 1, { amount, currency }) }
    }
    case 'BookingConfirmed': {
      const { orderId, bookingReference, tickets } = event.data
      return { ...d, order: { orderId, bookingReference }, tickets }
    }
    case 'OutcomeCorrected':
      return corrected(d, event.data)
    case 'CompensationStarted':
      return { ...d, failureReason: d.failureReason ?? event.data.reason }
    case 'CancellationRequested':
      return { ...d, cancelledAt: event.data.at }
    case 'PaymentRefunded':
      return { ...d, refund: { status: 'processed', amount: event.data.amount, at: event.data.at } }
    case 'RefundOwed':
      return { ...d, refund: { status: 'pending', amount: event.data.amount, at: null } }
    case 'BookingFailed':
    case 'BookingExpired':
      return { ...d, failureReason: event.data.reason }
    case 'BookingCancelled':
      return { ...d, refund: d.refund ?? { status: event.data.refund, amount: 0, at: null } }
    default:
      return d
  }
}

/** The facts as they are now known to be. */
function corrected(
  d: BookingDetails,
  { step, happened, order, givenBack, at }: Extract<ShownEvent, { type: 'OutcomeCorrected' }>['data'],
): BookingDetails {
  const { loyaltyAmount: amount, loyaltyCurrency: currency } = d.price
  const status = givenBack === 'refunded' ? ('processed' as const) : ('pending' as const)
  const isOrder = step === 'place-hold' || step === 'issue-tickets'
  return {
    ...d,
    ...(step === 'deduct' && { deducted: deductedTimes(timesDeducted(d) + (happened ? 1 : -1), { amount, currency }) }),
    ...(isOrder && { order: order && orderRef(order), tickets: order?.tickets ?? [] }),
    refund: givenBack === null ? null : { status, amount, at: givenBack === 'owed' ? null : (d.refund?.at ?? at) },
  }
}

const timesDeducted = ({ deducted }: BookingDetails) => (deducted ? (deducted.times ?? 1) : 0)

/** What stands of a booking's deductions; of a restored store there may be two. */
function deductedTimes(times: number, once: { amount: number; currency: string }): BookingDetails['deducted'] {
  if (times < 1) return null
  return times === 1 ? once : { ...once, times }
}

const orderRef = ({ orderId, bookingReference }: NonNullable<BookingDetails['order']>) => ({
  orderId,
  bookingReference,
})

async function loadRows(
  tx: ProjectionTx,
  streams: readonly { tenantId: string; stream: string }[],
): Promise<Map<string, Row>> {
  const { rows } = await tx.query<{
    tenant_id: string
    booking_id: string
    details: BookingDetails
    stream_version: number
  }>({
    name: `load-${tx.schema}`,
    text: `select tenant_id, booking_id, details, stream_version from ${tx.schema}.booking_details
           where (tenant_id, booking_id) in (select * from unnest($1::text[], $2::text[]))`,
    values: [streams.map(({ tenantId }) => tenantId), streams.map(({ stream }) => bookingIdOf(stream))],
  })
  return new Map(
    rows.map(({ tenant_id, booking_id, details, stream_version }) => [
      streamKey(tenant_id, `booking-${booking_id}`),
      { tenantId: tenant_id, bookingId: booking_id, details, streamVersion: stream_version },
    ]),
  )
}

async function saveRows(tx: ProjectionTx, rows: readonly Row[]): Promise<void> {
  await tx.query({
    name: `save-${tx.schema}`,
    text: `insert into ${tx.schema}.booking_details as b
             (tenant_id, booking_id, member_id, status, details, created_at, updated_at, stream_version)
           select tenant_id, booking_id, member_id, status, details, created_at, updated_at, stream_version
           from jsonb_to_recordset($1) as r (tenant_id text, booking_id text, member_id text, status text, details jsonb,
             created_at timestamptz, updated_at timestamptz, stream_version bigint)
           on conflict (tenant_id, booking_id) do update
           set status = excluded.status, details = excluded.details, updated_at = excluded.updated_at,
               stream_version = excluded.stream_version
           where b.stream_version < excluded.stream_version`,
    values: [
      JSON.stringify(
        rows.map(({ tenantId, bookingId, details, streamVersion }) => ({
          tenant_id: tenantId,
          booking_id: bookingId,
          member_id: details.memberId,
          status: details.status,
          details,
          created_at: details.createdAt,
          updated_at: details.updatedAt,
          stream_version: streamVersion,
        })),
      ),
    ],
  })
}
