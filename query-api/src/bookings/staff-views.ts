/** From rows to what staff see of bookings. Pure. */
import type { Sighting } from '@portolan/schemas/bookings/messages.ts'
import type { BookingDetails, BookingProgress, TroubleEvidence } from '@portolan/schemas/bookings/read-models.ts'
import { routeLabel } from '@portolan/schemas/bookings/views.ts'
import type {
  OpsBookingDetail,
  OpsBookingList,
  PendingApprovalList,
  UnknownOutcomeList,
} from '@portolan/schemas/ops/views.ts'
import type { BookingRow } from './read-bookings.ts'

export interface QueuedRow extends BookingRow {
  progress: BookingProgress
}

export function staffRow(row: BookingRow): OpsBookingList['bookings'][number] {
  return {
    tenantId: row.tenant_id,
    bookingId: row.booking_id,
    memberId: row.member_id,
    status: row.status,
    flightNumber: row.flight_number,
    route: routeLabel(row.origin, row.destination),
    departureDate: row.departure_date,
    loyaltyAmount: row.loyalty_amount,
    loyaltyCurrency: row.loyalty_currency,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  }
}

export function approvalRow(row: QueuedRow): PendingApprovalList['approvals'][number] {
  const { approval } = row.progress
  if (!approval) throw new Error('a booking that waits for approval names it')
  return { ...staffRow(row), approvalReason: approval.reason, expiresAt: approval.expiresAt }
}

export function troubleRow(row: QueuedRow): UnknownOutcomeList['outcomes'][number] {
  const trouble = troubleOf(row.progress)
  if (!trouble) throw new Error('a booking with an unknown outcome names it')
  return { ...staffRow(row), ...trouble }
}

/** tenantName: as the tenants' read model has it. names: of the passengers, in order. */
export function staffDetail(
  row: BookingRow & { stream_version: number },
  details: BookingDetails,
  tenantName: string,
  names: readonly string[],
): OpsBookingDetail {
  return {
    ...staffRow(row),
    tenantName,
    usdEquivalentMinor: details.price.amountMinor,
    supplier: details.order ?? { orderId: null, bookingReference: null },
    passengers: details.passengers.map((_, index) => {
      const ticket = details.tickets.find(({ passengerIndex }) => passengerIndex === index)
      return { name: names[index] ?? '', ticketNumber: ticket?.ticketNumber ?? null, seat: ticket?.seat ?? null }
    }),
    approval: details.progress.approval,
    trouble: troubleOf(details.progress),
    failureReason: details.failureReason,
    refund: details.refund,
    streamVersion: row.stream_version,
  }
}

/** What a person decides goes before what machines still reconcile. */
function troubleOf({ operator, unknown, disputed, evidence }: BookingProgress): OpsBookingDetail['trouble'] {
  const dispute = (operator ?? unknown) ? undefined : disputed?.[0]
  const trouble = operator ?? unknown ?? dispute
  if (!trouble) return null
  const needsDecision = trouble !== unknown
  const explanation = needsDecision ? (explanations[trouble.why] ?? `Machines met: ${trouble.why}`) : stillLooking
  const reported = dispute?.reported ?? null
  return { ...trouble, needsDecision, explanation, reported, evidence: evidence ? evidenceOf(evidence) : null }
}

const stillLooking = 'Machines are still looking at what the other side knows'

/** Why machines could not conclude, by the reason that the decider gave. */
const explanations: Readonly<Record<string, string>> = {
  'inconclusive-balance':
    'The balance is neither as before nor changed by exactly this amount, or a reset of the partner explains it as well',
  'balance-unchanged': 'The balance stood unchanged, but was not read late enough to be sure',
  'not-found-yet': 'No order was found, but nobody looked late enough to be sure',
  'price-mismatch': 'There is an order of this booking, but at another price than was offered',
  'passenger-gone': 'The order cannot be looked for: the passengers were forgotten',
  'history-lost': 'The store was restored to an earlier point; whether the call was made then is not recorded here',
  'deadline-passed': 'Nobody could look before the deadline',
  'reported-late':
    'Its caller reported, after it was concluded, what contradicts that: correct the conclusion, or repeat it',
}

function evidenceOf({ claimedAt, callBefore, movement, looks, seen }: TroubleEvidence) {
  const moved = movement && (movement.kind === 'deduction' ? -movement.amount : movement.amount)
  const before = movement?.balanceBefore ?? null
  return {
    claimedAt,
    callBefore,
    movement: movement && { ...movement, balanceIfItHappened: before === null ? null : before + (moved ?? 0) },
    looks,
    seen: seen.map(({ look, at, saw }) => ({ look, at, ...shown(saw) })),
  }
}

function shown(saw: Sighting) {
  const nothing = { balance: null, order: null, note: null }
  switch (saw.kind) {
    case 'balance':
      return { ...nothing, balance: saw.balance }
    case 'no-order':
      return { ...nothing, note: 'no-order' }
    case 'order': {
      const { kind: _kind, ...order } = saw
      return { ...nothing, order }
    }
    case 'nothing':
      return { ...nothing, note: saw.code }
  }
}
