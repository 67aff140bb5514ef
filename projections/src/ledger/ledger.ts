/**
 * The ledger: every movement of loyalty currency and every supplier penalty as double-entry lines that add up to zero,
 * derived from events. Balances are kept beside the lines, in the same statement, from the lines that were really new;
 * so applying an event again adds nothing.
 *
 * Accounts of a tenant: `member:<id>` what the partner holds for a member, counted from our first movement;
 * `programme` what the programme took; `owed:<id>` what it owes a member that no partner call could give back; `recoverable:<id>` what a
 * member has without having paid, below zero until it comes in;
 * `tenant-penalties` and `supplier:duffel` cancellation penalties, which the tenant bears.
 */
import type { ProjectedEvent, Projection } from '@portolan/infra/consumer/projection.ts'
import type { BookingEvent } from '@portolan/schemas/bookings/messages.ts'
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'

export interface LedgerLine {
  tenant_id: string
  stream: string
  stream_version: number
  /** Number of the line within its event, from 1. */
  line: number
  account: string
  currency: string
  /** Signed: whole units of a programme's currency, minor units of money. */
  amount: number
  kind:
    | 'deduction'
    | 'refund'
    | 'refund-owed'
    | 'owed-settled'
    | 'penalty'
    | 'deduction-corrected'
    | 'refund-corrected'
    | 'owed-cancelled'
    | 'recovery-due'
    | 'recovered'
    | 'recovery-waived'
  booking_id: string
  member_id: string | null
  at: string
}

const memberTypes = [
  'MovementSettled',
  'RefundOwed',
  'OwedRefundSettled',
  'MovementCorrected',
  'OwedRefundCancelled',
  'RecoveryDue',
  'RecoverySettled',
] as const
const bookingTypes = ['OrderCancelled'] as const
type LedgerEvent =
  | Extract<MemberEvent, { type: (typeof memberTypes)[number] }>
  | Extract<BookingEvent, { type: (typeof bookingTypes)[number] }>

export const ledger: Projection = {
  name: 'ledger',
  version: 1,
  handles: { [topics.members]: memberTypes, [topics.bookings]: bookingTypes },
  async apply(events, tx) {
    const lines = events.flatMap(linesOf)
    const [first] = events
    if (!first || lines.length === 0) return
    await tx.query({
      name: `append-${tx.schema}`,
      text: `with fresh as (
               insert into ${tx.schema}.ledger_lines
                 (tenant_id, stream, stream_version, line, account, currency, amount, kind, booking_id, member_id, at)
               select tenant_id, stream, stream_version, line, account, currency, amount, kind, booking_id, member_id, at
               from jsonb_to_recordset($1) as r (tenant_id text, stream text, stream_version bigint, line smallint, account text,
                 currency text, amount bigint, kind text, booking_id text, member_id text, at timestamptz)
               on conflict do nothing
               returning tenant_id, account, currency, amount)
             insert into ${tx.schema}.ledger_balances as b (tenant_id, account, currency, partition, balance, line_count)
             select tenant_id, account, currency, $2, sum(amount), count(*) from fresh
             group by tenant_id, account, currency
             -- One order for all, so that two partitions with the same number cannot deadlock.
             order by tenant_id, account, currency
             on conflict (tenant_id, account, currency, partition) do update
             set balance = b.balance + excluded.balance, line_count = b.line_count + excluded.line_count`,
      // All events of a call come from one partition.
      values: [JSON.stringify(lines), first.partition],
    })
  },
}

/** The lines of one event; they add up to zero. Pure. [] where nothing was moved, as for a cancellation without penalty. */
export function linesOf(
  projected: Pick<ProjectedEvent, 'type' | 'data' | 'tenantId' | 'stream' | 'streamVersion'>,
): LedgerLine[] {
  // The consumer lifted the data to the catalogue's current version and checked it there.
  const event = projected as unknown as LedgerEvent
  switch (event.type) {
    case 'MovementSettled': {
      const { kind, memberId } = event.data
      const member = `member:${memberId}`
      return kind === 'deduction' ? entry(kind, member, 'programme') : entry(kind, 'programme', member)
    }
    case 'RefundOwed':
      return entry('refund-owed', 'programme', `owed:${event.data.memberId}`)
    case 'OwedRefundSettled':
      return entry('owed-settled', `owed:${event.data.memberId}`, `member:${event.data.memberId}`)
    case 'MovementCorrected': {
      const { kind, memberId } = event.data
      const member = `member:${memberId}`
      return kind === 'deduction'
        ? entry('deduction-corrected', 'programme', member)
        : entry('refund-corrected', member, 'programme')
    }
    case 'OwedRefundCancelled':
      return entry('owed-cancelled', `owed:${event.data.memberId}`, 'programme')
    case 'RecoveryDue':
      return entry('recovery-due', `recoverable:${event.data.memberId}`, 'programme')
    case 'RecoverySettled': {
      const { how, memberId } = event.data
      return how === 'recovered'
        ? entry('recovered', `member:${memberId}`, `recoverable:${memberId}`)
        : entry('recovery-waived', 'programme', `recoverable:${memberId}`)
    }
    case 'OrderCancelled':
      return event.data.penaltyMinor > 0 ? entry('penalty', 'supplier:duffel', 'tenant-penalties') : []
  }

  /** `amount` leaves the first account and arrives on the second. */
  function entry(kind: LedgerLine['kind'], from: string, to: string): LedgerLine[] {
    const { currency, at } = event.data
    const isPenalty = event.type === 'OrderCancelled'
    const amount = isPenalty ? event.data.penaltyMinor : event.data.amount
    const common = {
      tenant_id: projected.tenantId,
      stream: projected.stream,
      stream_version: projected.streamVersion,
      currency,
      kind,
      booking_id: isPenalty ? projected.stream.replace(/^booking-/, '') : event.data.bookingId,
      member_id: isPenalty ? null : event.data.memberId,
      at,
    }
    return [
      { ...common, line: 1, account: from, amount: -amount },
      { ...common, line: 2, account: to, amount },
    ]
  }
}
