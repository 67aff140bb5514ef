/**
 * A small world in which every promise was kept, for the tests of the invariants: each test breaks one thing in a copy.
 *
 * `kept` is confirmed, `given-back` was cancelled and refunded, `refused` failed after a deduction that did not happen. All belong
 * to one member of one tenant; bookings lie in one partition, the member's account in another topic's. A guest holds the night `held` of `home`, and gave
 * another one back.
 */
import { encodeToken } from '@portolan/infra/consistency-token.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { SentRequest, StoredEvent } from '../evidence.ts'
import { lastSeen, statuses } from './booking-history.ts'
import { bookings, type LedgerRow, type World } from './world.ts'

export const tenantId = 'teahouse'
export const memberId = 'TH1'
export const principal = `member:${memberId}`
const price = 100

/** An instant, `seconds` after the beginning. */
export const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()

/** Builds it anew for each caller. */
export function soundWorld(): World {
  const events: StoredEvent[] = []
  const append = (stream: string, type: string, data: Record<string, unknown>) => {
    const topic = topicOf(stream)
    const nth = events.length + 1
    const position = events.filter((event) => event.topic === topic).length + 1
    const streamVersion = events.filter((event) => event.stream === stream).length + 1
    const place = { topic, partition: 0, position, eventId: `event-${nth}`, tenantId, stream, streamVersion }
    events.push({ ...place, type, data: { at: at(nth), ...data }, causationId: null, recordedAt: at(nth) })
  }
  for (const bookingId of ['kept', 'given-back', 'refused']) story(bookingId, append)
  append('reservation-held', 'StayReserved', stay)
  append('reservation-left', 'StayReserved', { ...stay, startDate: '2027-05-09' })
  append('reservation-left', 'StayCancelled', { ...stay, startDate: '2027-05-09' })
  const records = events.map(({ type: _, data: __, causationId: ___, recordedAt: ____, ...record }) => ({
    ...record,
    offset: record.position - 1,
  }))
  const streams = [...Map.groupBy(events, ({ stream }) => stream)].map(([stream, own]) => ({
    tenantId,
    stream,
    version: own.length,
    topic: own[0]?.topic ?? '',
    partition: 0,
  }))
  const heads = [topics.bookings, topics.members, topics.stays].map((topic) => ({
    topic,
    partition: 0,
    position: events.filter((event) => event.topic === topic).length,
  }))
  const lines = events.flatMap(linesOf)
  const tokenOf = (nth: number) => encodeToken({ generation: 1, positions: { [topics.bookings]: { '0': nth } } })
  const requests = [...bookings(events).values()].map((own) => requestOf(own, tokenOf(own.at(-1)?.position ?? 1)))
  const kept = requests[0] as SentRequest
  const outside = { partnerCalls: { deduct: 3 }, supplierCalls: { 'orders.create': 2 }, events: events.length }
  const keys = requests.map((request) => ({
    tenantId,
    principal,
    method: 'POST',
    path: request.path,
    key: request.idempotencyKey ?? '',
    reference: request.idempotencyKey,
    rejection: null,
  }))
  return {
    evidence: {
      seed: 1,
      writeUrl: '',
      readUrl: '',
      kafka: { brokers: [], topicPrefix: '' },
      redis: { url: '', keyPrefix: '' },
      duffelUrl: '',
      partnerUrl: '',
      partnerPeriods: [],
      members: [{ tenantId, memberId, balance: 1000 }],
      opsEnv: {},
      logFolder: '',
      requests: [...requests, reserveRequest],
      reads: [
        {
          ...readOf('/api/v1/properties/available?start_date=2027-05-01&nights=2', { properties: [] }, reserveRequest),
          tenantId: 'stays',
          principal: guest,
        },
        readOf(`/api/v1/bookings/kept`, { data: { updated_at: lastOf(events, 'kept').data.at } }, kept),
        readOf(
          '/api/v1/bookings?limit=100',
          {
            data: {
              // Without a filter a list leaves failed bookings out.
              bookings: ['kept', 'given-back'].map((bookingId) => ({
                booking_id: bookingId,
                status: statuses(bookings(events).get(`${tenantId} ${bookingId}`) ?? []).at(-1),
              })),
              pagination: { has_more: false },
            },
          },
          kept,
        ),
      ],
      faults: [],
      personalData: [],
      lostEvents: [],
      lostAndSent: [],
      lostKeys: [],
    },
    readAt: at(200),
    store: {
      generation: 1,
      events,
      streams,
      heads,
      openSteps: [],
      keys,
      saidLost: [],
      nights: [...nights],
      parked: [],
    },
    records,
    readSide: {
      checkpoints: heads.map((head) => ({ ...head, projection: 'booking_details', generation: 1 })),
      parked: [],
      bookings: [...bookings(events).values()].map((own) => ({
        table: 'booking_details',
        tenantId,
        bookingId: own[0]?.data.bookingId,
        status: statuses(own).at(-1) ?? '',
        streamVersion: lastSeen(own)?.streamVersion ?? 0,
      })),
      nights: [...nights],
      lines,
      balances: [...Map.groupBy(lines, ({ account }) => account)].map(([account, own]) => ({
        tenantId,
        account,
        currency: 'stars',
        balance: own.reduce((sum, { amount }) => sum + amount, 0),
        lineCount: own.length,
      })),
    },
    partner: {
      periods: [
        {
          members: { [memberId]: { balance: 900 } },
          transactions: [
            transaction('kept', 'deduct', 'txn-kept'),
            transaction('given-back', 'deduct', 'txn-given-back'),
            { ...transaction('given-back', 'refund', 'ref-given-back'), refunds: 'txn-given-back' },
          ],
        },
      ],
      calls: [
        ...['kept', 'given-back', 'refused'].map((id) => call('deduct', { referenceId: `${id}:deduct:1` })),
        call('refund', { transactionId: 'txn-given-back' }),
      ],
    },
    supplier: {
      orders: [
        { id: 'ord-kept', type: 'instant', metadata: orderOf('kept'), paid: true, cancelled: false },
        { id: 'ord-given-back', type: 'instant', metadata: orderOf('given-back'), paid: true, cancelled: true },
      ],
      calls: [
        ...['kept', 'given-back'].map((id) => call('orders.create', { type: 'instant', metadata: orderOf(id) })),
        call('order_cancellations.confirm', { metadata: orderOf('given-back') }),
      ],
    },
    rebuilt: {
      projections: [{ name: 'booking_details', tables: [], isEqual: true, said: '' }],
      before: outside,
      after: structuredClone(outside),
    },
  }
}

export const guest = 'guest:hash'
const stay = { propertyId: 'home', startDate: '2027-05-02', nights: 1 }
const nights = [{ propertyId: 'home', day: '2027-05-02' }]
const reserveRequest: SentRequest = {
  tenantId: 'stays',
  principal: guest,
  method: 'POST',
  path: '/api/v1/reservations',
  idempotencyKey: null,
  body: { property_id: 'home', start_date: '2027-05-02', nights: 1 },
  tries: [
    {
      process: 'command-api',
      sentAt: at(100),
      endedAt: at(101),
      status: 200,
      body: { reservation_id: 'held' },
      token: encodeToken({ generation: 1, positions: { [topics.stays]: { '0': 1 } } }),
    },
  ],
}

function topicOf(stream: string): string {
  if (stream.startsWith('reservation-')) return topics.stays
  return stream.startsWith('booking-') ? topics.bookings : topics.members
}

type Append = (stream: string, type: string, data: Record<string, unknown>) => void

/** What happens to one booking, from its request to its end. */
function story(bookingId: string, append: Append): void {
  const booking = (type: string, data: Record<string, unknown> = {}) => append(`booking-${bookingId}`, type, data)
  const account = (type: string, data: Record<string, unknown> = {}) =>
    append(`member-account-${memberId}`, type, { bookingId, memberId, amount: price, currency: 'stars', ...data })
  const claimed = (step: string, outcome: string, movement: string | null) => {
    const movementId = `${bookingId}:${step}:1`
    const executionId = `${movementId}:execution`
    booking('StepRequested', { step, attempt: 1 })
    booking('AttemptStarted', { step, attempt: 1, executionId })
    if (movement) account('MovementOpened', { movementId, executionId, kind: movement })
    if (movement) account('BalanceRecorded', { movementId })
    booking('AttemptEnded', { step, attempt: 1, outcome })
  }
  const settled = (kind: string, step: string, transactionId: string) =>
    account('MovementSettled', { kind, movementId: `${bookingId}:${step}:1`, transactionId })

  booking('BookingRequested', { bookingId, memberId, offer: { flightId: `flight-${bookingId}` } })
  claimed('deduct', bookingId === 'refused' ? 'unknown' : 'succeeded', 'deduction')
  if (bookingId === 'refused') {
    booking('OutcomeUnknown', { step: 'deduct', attempt: 1 })
    booking('OutcomeEstablished', { step: 'deduct', attempt: 1, happened: false })
    account('MovementVoided', { movementId: 'refused:deduct:1' })
    booking('BookingFailed')
    return
  }
  booking('PaymentDeducted', { transactionId: `txn-${bookingId}` })
  settled('deduction', 'deduct', `txn-${bookingId}`)
  claimed('issue-tickets', 'succeeded', null)
  booking('BookingConfirmed', { orderId: `ord-${bookingId}` })
  if (bookingId === 'kept') return
  booking('CancellationRequested')
  claimed('cancel-order', 'succeeded', null)
  booking('OrderCancelled', { orderId: `ord-${bookingId}` })
  claimed('refund', 'succeeded', 'refund')
  booking('PaymentRefunded')
  settled('refund', 'refund', `ref-${bookingId}`)
  booking('BookingCancelled')
}

function linesOf({ type, data, stream, streamVersion }: StoredEvent): LedgerRow[] {
  if (type !== 'MovementSettled') return []
  const sign = data.kind === 'deduction' ? -1 : 1
  const common = { tenantId, stream, streamVersion, currency: 'stars', kind: data.kind, bookingId: data.bookingId }
  return [
    { ...common, account: principal, amount: sign * price },
    { ...common, account: 'programme', amount: -sign * price },
  ]
}

/** A booking that was asked for twice with one key; both got the same answer. */
function requestOf(own: readonly StoredEvent[], token: string): SentRequest {
  const { bookingId, offer } = own[0]?.data ?? {}
  const isRefused = bookingId === 'refused'
  const answer = {
    process: 'command-api',
    sentAt: at(100),
    endedAt: at(101),
    status: isRefused ? 504 : 201,
    body: isRefused ? { error: { booking_id: bookingId } } : { data: { booking_id: bookingId, status: 'confirmed' } },
    token,
  }
  return {
    tenantId,
    principal,
    method: 'POST',
    path: '/api/v1/bookings',
    idempotencyKey: bookingId,
    body: { flight_id: offer?.flightId },
    tries: [answer, { ...answer, sentAt: at(102), endedAt: at(103) }],
  }
}

function readOf(path: string, body: unknown, { tries }: SentRequest) {
  const [answer] = tries
  const common = { process: 'query-api', sentAt: at(110), endedAt: at(111), status: 200, token: null }
  return { ...common, tenantId, principal, path, body, sentToken: answer?.token ?? null }
}

function transaction(bookingId: string, type: 'deduct' | 'refund', transaction_id: string) {
  return { transaction_id, type, member_id: memberId, amount: price, reference_id: `${bookingId}:deduct:1` }
}

const call = (operation: string, facts: Record<string, unknown>) => ({ operation, at: at(50), facts })
const orderOf = (bookingId: string) => ({ booking_id: bookingId, tenant_id: tenantId, attempt: '1' })
const lastOf = (events: readonly StoredEvent[], bookingId: string) =>
  events.findLast(({ stream }) => stream === `booking-${bookingId}`) as StoredEvent
