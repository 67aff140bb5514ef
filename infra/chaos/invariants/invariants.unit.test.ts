// A judge that accepts everything proves nothing: each invariant accepts a sound world and is shown every kind of violation it is for.
// The sabotage is the test: each line of `planted` breaks one thing of a sound world, and the invariant has to say so.
import { expect } from 'chai'
import type { StoredEvent } from '../evidence.ts'
import { invariants } from './all.ts'
import { at, memberId, principal, soundWorld, tenantId } from './sound-world.ts'
import type { World } from './world.ts'

type Plant = (world: World) => void

const planted: Record<string, Record<string, Plant>> = {
  'positions-dense': {
    'a position is missing': ({ store }) => void store.events.splice(3, 1),
    'the end of the log is missing': ({ store }) => void store.events.pop(),
    'an event stands twice': ({ store }) => {
      eventOf(store.events, 'kept', 'BookingConfirmed').eventId = 'event-1'
    },
  },
  'streams-in-order': {
    'two events change places': ({ store }) => {
      const [first, second] = store.events.filter(({ stream }) => stream === 'booking-kept') as [
        StoredEvent,
        StoredEvent,
      ]
      ;[first.streamVersion, second.streamVersion] = [second.streamVersion, first.streamVersion]
    },
    'two writers took one version': ({ store }) => {
      eventOf(store.events, 'kept', 'BookingConfirmed').streamVersion -= 1
    },
    'a stream lies in two partitions': ({ store }) => {
      eventOf(store.events, 'kept', 'BookingConfirmed').partition = 7
    },
    'a head was not moved': ({ store }) => change(store.streams[0], { version: Number(store.streams[0]?.version) - 1 }),
    'a row is behind the log': ({ readSide }) =>
      change(readSide.bookings[0], { streamVersion: Number(readSide.bookings[0]?.streamVersion) - 1 }),
    'a row is missing its last event': ({ readSide }) => change(readSide.bookings[1], { streamVersion: 3 }),
  },
  'commands-atomic': {
    'an open step is missing': ({ store }) =>
      void append(store.events, 'kept', 'StepRequested', { step: 'poll', attempt: 1 }),
    'an open step was not removed': ({ store }) => void store.openSteps.push(openStep('kept', 'deduct')),
    'a claim is missing in the account': ({ store }) =>
      remove(store.events, ({ type, data }) => type === 'MovementOpened' && data.bookingId === 'kept'),
    'a booking has no idempotency record': ({ store }) => void store.keys.shift(),
    'an idempotency record has no booking': ({ store }) =>
      remove(store.events, ({ stream }) => stream === 'booking-kept'),
  },
  'kafka-holds-the-log': {
    'a record was skipped': ({ records }) => void records.splice(4, 1),
    'the end was not sent': ({ records }) => void records.pop(),
    'two records change places': ({ records }) => void records.splice(3, 2, ...records.slice(3, 5).reverse()),
    'a record is not what the store holds': ({ records }) => change(records[2], { eventId: 'other' }),
    'a repeated position is another event': ({ records }) =>
      void (records[2] && records.splice(3, 0, { ...records[2], eventId: 'other' })),
  },
  'loss-is-said': {
    'of two lost events that Kafka held one is not listed': (world) => {
      const { store, evidence } = loseLast(world, 2)
      evidence.lostAndSent = evidence.lostEvents.map(({ eventId }) => eventId)
      store.saidLost = evidence.lostAndSent.slice(1)
    },
  },
  'nothing-parked': {
    'a projection parked a stream': ({ readSide }) =>
      void readSide.parked.push({
        projection: 'ledger',
        tenantId,
        stream: 'booking-kept',
        reason: 'connection terminated',
      }),
    'dispatch parked a stream': ({ store }) =>
      void store.parked.push({ consumer: 'workers.dispatch', tenantId, stream: 'booking-kept', reason: 'timeout' }),
  },
  'read-models-equal-rebuild': {
    'a row differs': ({ rebuilt }) =>
      void rebuilt.projections[0]?.tables.push({
        ...{ table: 'booking_details', equal: 2, different: 1, only_here: 0, only_there: 0, on_the_way: 0 },
      }),
    'the rebuild did not end': ({ rebuilt }) => change(rebuilt.projections[0], { isEqual: false }),
    'a projection is behind the log': ({ readSide }) =>
      change(readSide.checkpoints[0], { position: Number(readSide.checkpoints[0]?.position) - 1 }),
    'a projection read one partition in an older generation only': ({ readSide, store }) => {
      store.generation = 2
      for (const row of readSide.checkpoints.slice(1)) row.generation = 2
    },
    'a projection never began': ({ readSide }) => void readSide.checkpoints.splice(0),
  },
  'replay-calls-nobody': {
    'the partner was called': ({ rebuilt }) => change(rebuilt.after.partnerCalls, { balance: 1 }),
    'the supplier was called once more': ({ rebuilt }) => change(rebuilt.after.supplierCalls, { 'orders.create': 3 }),
    'an event was appended': ({ rebuilt }) => change(rebuilt.after, { events: rebuilt.after.events + 1 }),
  },
  'read-your-writes': {
    'a booking is not found after it was answered': (world) => change(readOf(world, 'kept'), { status: 404 }),
    'a booking shows an older instant': (world) =>
      change(readOf(world, 'kept'), { body: { data: { updated_at: at(0) } } }),
    'a list lacks a booking, without a token': (world) => {
      const list = readOf(world, '?limit')
      list.sentToken = null
      list.body = { data: { bookings: [], pagination: { has_more: false } } }
    },
    'a read without a token is older than what was answered after Redis came back': (world) => {
      change(readOf(world, 'kept'), { status: 404, body: {}, sentToken: null })
      world.evidence.faults.push({ kind: 'redis-empty', target: 'redis', from: at(90), until: at(90) })
    },
    'a read before a restore was older': (world) => {
      change(readOf(world, 'kept'), { status: 404, body: {} })
      world.evidence.lostEvents = world.store.events.filter(({ stream }) => stream === 'booking-kept')
      remove(world.store.events, ({ stream }) => stream === 'booking-kept')
      world.evidence.faults.push({ kind: 'restore', target: 'postgres', from: at(120), until: at(121) })
    },
    'of many reads none had anything to show': ({ evidence }) => {
      const [read] = evidence.reads
      if (read) evidence.reads = Array(20).fill({ ...read, principal: 'member:nobody' })
    },
    'a list shows an older status': (world) => {
      const { data } = readOf(world, '?limit').body as { data: { bookings: { status: string }[] } }
      if (data.bookings[0]) data.bookings[0].status = 'pending'
    },
  },
  'one-answer-per-key': {
    'a retry made a second booking': ({ evidence }) => {
      answerOf(evidence, 0, 1).body = { data: { booking_id: 'other', status: 'confirmed' } }
    },
    'a retry was refused': ({ evidence }) => {
      const error = { type: 'https://x/conflict', detail: 'has already been booked', booking_id: 'kept' }
      change(answerOf(evidence, 0, 1), { status: 409, body: { error } })
    },
    'two bodies were taken under one key': ({ evidence }) => {
      const [request] = evidence.requests
      if (request) evidence.requests.push({ ...request, body: { flight_id: 'other' } })
    },
    'a retry was taken for another body': ({ evidence }) =>
      change(answerOf(evidence, 0, 1), { status: 422, body: { error: { type: 'https://x/idempotency-mismatch' } } }),
    'a retry was confirmed after it had been answered as failed': ({ evidence }) =>
      change(answerOf(evidence, 0, 0), {
        status: 502,
        body: { error: { booking_id: 'kept', detail: 'nothing was deducted' } },
      }),
    'a retry was answered with other words': ({ evidence }) => {
      answerOf(evidence, 0, 1).body = { data: { booking_id: 'kept', status: 'pending_approval' } }
    },
  },
  'accepted-commands-end': {
    'a booking never ends': ({ store }) => remove(store.events, ({ type }) => type === 'BookingFailed'),
    'an ended booking still wants a step': ({ store }) => void store.openSteps.push(openStep('refused', 'refund')),
    'an operator is needed and nobody is asked': ({ store }) =>
      void append(store.events, 'kept', 'OperatorNeeded', { step: 'refund', why: 'inconclusive' }),
    'an operator is asked although machines can know': ({ store }) => {
      append(store.events, 'kept', 'OperatorNeeded', { step: 'refund', why: 'inconclusive' })
      store.openSteps.push(openStep('kept', 'operator-decision'))
    },
    'a refund waits although its member’s question is about an order': ({ store }) => {
      append(store.events, 'given-back', 'BookingHistoryLost', {})
      append(store.events, 'given-back', 'OperatorNeeded', { step: 'cancel-order', why: 'history-lost' })
      store.openSteps.push(openStep('given-back', 'operator-decision'), openStep('kept', 'refund'))
    },
    'an approval would never expire': ({ store }) => {
      remove(store.events, ({ stream, streamVersion }) => stream === 'booking-kept' && streamVersion > 1)
      append(store.events, 'kept', 'ApprovalRequested', {})
    },
    'an approval should have expired long ago': ({ store }) => {
      remove(store.events, ({ stream, streamVersion }) => stream === 'booking-kept' && streamVersion > 1)
      append(store.events, 'kept', 'ApprovalRequested', {})
      store.openSteps.push(openStep('kept', 'approval-expiry'))
    },
    'a reset of the partner has nothing to do with the question to an operator': ({ store, evidence }) => {
      append(store.events, 'kept', 'AttemptStarted', { step: 'refund', attempt: 1 })
      append(store.events, 'kept', 'OperatorNeeded', { step: 'refund', why: 'inconclusive' })
      store.openSteps.push(openStep('kept', 'operator-decision'))
      evidence.partnerPeriods.push({ endedAt: at(5), members: {}, transactions: [] })
    },
    'a question to an operator is about a booking that began after its member’s history was lost': ({ store }) => {
      append(store.events, memberId, 'AccountHistoryLost', {})
      change(store.events.at(-1), { recordedAt: at(0) })
      append(store.events, 'kept', 'OperatorNeeded', { step: 'refund', why: 'inconclusive' })
      store.openSteps.push(openStep('kept', 'operator-decision'))
    },
    'what was answered as failed came back to life': ({ evidence }) =>
      change(answerOf(evidence, 0, 0), {
        status: 502,
        body: { error: { booking_id: 'kept', detail: 'nothing was deducted' } },
      }),
    'what was answered as failed does not exist': ({ evidence }) =>
      change(answerOf(evidence, 0, 0), {
        status: 502,
        body: { error: { booking_id: 'none', detail: 'nothing was deducted' } },
      }),
    'an answered approval is lost': ({ evidence }) => {
      const [request] = structuredClone(evidence.requests)
      if (request) evidence.requests.push({ ...request, path: `/ops/tenants/${tenantId}/bookings/kept/approve` })
    },
    'a movement stays open': ({ store }) =>
      remove(store.events, ({ type, data }) => type === 'MovementVoided' && data.movementId === 'refused:deduct:1'),
    'an answered booking is lost': ({ store }) => remove(store.events, ({ stream }) => stream === 'booking-kept'),
    'an answered confirmation is lost': ({ store }) =>
      remove(store.events, ({ stream, type }) => stream === 'booking-kept' && type === 'BookingConfirmed'),
    'an answered cancellation is lost': ({ evidence }) => {
      const request = evidence.requests[0]
      if (request) evidence.requests.push({ ...request, path: '/api/v1/bookings/kept/cancel', idempotencyKey: 'c' })
    },
  },
  'overdue-expires': {
    'an approval was given too late': ({ store }) => {
      append(store.events, 'kept', 'ApprovalRequested', { expiresAt: at(98) })
      append(store.events, 'kept', 'BookingApproved', {})
    },
    'a hold was paid for too late': ({ store }) => {
      append(store.events, 'kept', 'HoldPlaced', { payBy: at(99) })
      append(store.events, 'kept', 'AttemptStarted', { step: 'issue-tickets', attempt: 2 })
    },
  },
  'nights-sold-once': {
    'a night is sold twice': ({ store }) =>
      void store.events.push({ ...eventOfStream(store.events, 'reservation-held'), stream: 'reservation-other' }),
    'the constraint forgot a night': ({ store }) => void store.nights.pop(),
    'the constraint holds a night that was given back': ({ store }) =>
      void store.nights.push({ propertyId: 'home', day: '2027-05-09' }),
    'the search forgot a night': ({ readSide }) => void readSide.nights.pop(),
    'the search hides a free night': ({ readSide }) =>
      void readSide.nights.push({ propertyId: 'other', day: '2027-05-02' }),
    'a promised reservation does not exist': (world) => {
      remove(world.store.events, ({ stream }) => stream === 'reservation-held')
      world.store.nights = []
      world.readSide.nights = []
    },
    'a guest is shown what they hold': (world) => {
      const read = world.evidence.reads.find(({ path }) => path.includes('/available?'))
      Object.assign(read?.body as object, { properties: [{ property_id: 'home' }] })
    },
  },
  'ledger-adds-up': {
    'half an entry is missing': ({ readSide }) => void readSide.lines.shift(),
    'a line was added twice': ({ readSide }) => void (readSide.lines[0] && readSide.lines.push(readSide.lines[0])),
    'a balance is wrong': ({ readSide }) =>
      change(readSide.balances[0], { balance: Number(readSide.balances[0]?.balance) + 1 }),
    'a settled movement has no lines': ({ readSide, store }) => {
      const own = eventOf(store.events, memberId, 'MovementSettled')
      const isOther = ({ streamVersion }: { streamVersion: number }) => streamVersion !== own.streamVersion
      readSide.lines = readSide.lines.filter(isOther)
      readSide.balances = readSide.balances.map((row) => {
        const lines = readSide.lines.filter(({ account }) => account === row.account)
        return { ...row, lineCount: lines.length, balance: lines.reduce((sum, { amount }) => sum + amount, 0) }
      })
    },
  },
  'partner-equals-ledger': {
    'the partner deducted twice': (world) =>
      movementsOf(world).push({ ...movement(world, 0), transaction_id: 'txn-2' }),
    'the partner refunded twice': (world) =>
      movementsOf(world).push({ ...movement(world, 2), transaction_id: 'ref-2' }),
    'the partner deducted for a booking that failed': deductForRefused,
    'the partner never made what the ledger has': (world) => void movementsOf(world).shift(),
    'the amounts differ': (world) => change(movement(world, 0), { amount: 101 }),
    'the ledger has it twice': ({ store }) =>
      void append(store.events, memberId, 'MovementSettled', {
        ...eventOf(store.events, memberId, 'MovementSettled').data,
      }),
  },
  'one-order-per-booking': {
    'a booking was ordered twice': ({ supplier }) =>
      void (supplier.orders[0] && supplier.orders.push({ ...supplier.orders[0], id: 'ord-2', cancelled: true })),
    'a confirmed booking has no order': ({ supplier }) => void supplier.orders.shift(),
    'a confirmed booking is not paid': ({ supplier }) => change(supplier.orders[0], { paid: false }),
    'a cancelled booking still has its order': ({ supplier }) => change(supplier.orders[1], { cancelled: false }),
    'a failed booking has an order': ({ supplier }) =>
      void supplier.orders.push({
        ...{ id: 'ord-3', type: 'instant', paid: true, cancelled: false },
        metadata: { booking_id: 'refused', tenant_id: tenantId, attempt: '1' },
      }),
    'an order belongs to nobody': ({ supplier }) =>
      change(supplier.orders[1], { metadata: { booking_id: 'nobody', tenant_id: tenantId } }),
  },
  'one-claim-per-call': {
    'an attempt was claimed twice': ({ store }) =>
      void append(store.events, 'kept', 'AttemptStarted', { step: 'deduct', attempt: 1, executionId: 'other' }),
    'a deduction was sent twice': ({ partner }) => void (partner.calls[0] && partner.calls.push(partner.calls[0])),
    'a deduction was sent without a claim': ({ partner }) =>
      void partner.calls.push({ operation: 'deduct', at: at(9), facts: { referenceId: 'kept:deduct:2' } }),
    'a deduction was sent before its balance was recorded': ({ store }) =>
      remove(store.events, ({ type, data }) => type === 'BalanceRecorded' && data.movementId === 'kept:deduct:1'),
    'a refund was sent twice': ({ partner }) => void (partner.calls[3] && partner.calls.push(partner.calls[3])),
    'an order was sent twice': ({ supplier }) => void (supplier.calls[0] && supplier.calls.push(supplier.calls[0])),
    'an order was cancelled without a claim': ({ supplier }) =>
      void supplier.calls.push({ ...cancelling(supplier), facts: { metadata: { booking_id: 'kept' } } }),
  },
}

/** What an invariant must not complain about, or a run with that fault could never be judged. */
const allowed: Record<string, Record<string, Plant>> = {
  'loss-is-said': {
    'lost events that Kafka held and that are listed, and one that had not reached it': (world) => {
      const { store, evidence } = loseLast(world, 3)
      evidence.lostAndSent = evidence.lostEvents.slice(0, 2).map(({ eventId }) => eventId)
      store.saidLost = evidence.lostAndSent
    },
  },
  'one-claim-per-call': {
    'an attempt that was claimed again after a restore had taken its claim away': ({ store, evidence }) => {
      evidence.lostEvents = [eventOf(store.events, 'kept', 'AttemptStarted')]
    },
  },
  'kafka-holds-the-log': {
    'duplicates and steps back': ({ records }) => void records.splice(5, 0, ...records.slice(2, 5)),
  },
  'one-answer-per-key': {
    'a retry that came while the first was at work': ({ evidence }) => {
      const error = { type: 'https://x/conflict', detail: 'The first request … is still being worked on' }
      change(answerOf(evidence, 0, 1), { status: 409, body: { error } })
    },
    'another body that was refused': ({ evidence }) => {
      const [request] = structuredClone(evidence.requests)
      for (const attempt of request?.tries ?? [])
        change(attempt, { status: 422, body: { error: { type: 'https://x/idempotency-mismatch' } } })
      if (request) evidence.requests.push({ ...request, body: { flight_id: 'other' } })
    },
    'a first attempt that nobody answered': ({ evidence }) =>
      change(answerOf(evidence, 0, 0), { status: null, body: undefined, error: 'ECONNRESET' }),
  },
  'read-your-writes': {
    'a read that was refused': (world) => change(readOf(world, 'kept'), { status: 503, body: {} }),
    'a read without a token after Redis was emptied': (world) => {
      change(readOf(world, 'kept'), { status: 404, body: {}, sentToken: null })
      world.evidence.faults.push({ kind: 'redis-empty', target: 'redis', from: at(105), until: at(105) })
    },
  },
  'accepted-commands-end': {
    'a question to an operator about what a reset of the partner hid': ({ store, evidence }) => {
      append(store.events, 'kept', 'AttemptStarted', { step: 'refund', attempt: 1 })
      append(store.events, 'kept', 'OperatorNeeded', { step: 'refund', why: 'inconclusive' })
      store.openSteps.push(openStep('kept', 'operator-decision'))
      evidence.partnerPeriods.push({ endedAt: at(99), members: {}, transactions: [] })
    },
    'a question to an operator about what a restore took away': ({ store }) => {
      append(store.events, 'kept', 'BookingHistoryLost', {})
      append(store.events, 'kept', 'OperatorNeeded', { step: 'refund', why: 'inconclusive' })
      store.openSteps.push(openStep('kept', 'operator-decision'))
    },
    'a question to an operator about a booking whose member’s history was lost afterwards': ({ store }) => {
      append(store.events, memberId, 'AccountHistoryLost', {})
      append(store.events, 'kept', 'OperatorNeeded', { step: 'refund', why: 'inconclusive' })
      store.openSteps.push(openStep('kept', 'operator-decision'))
    },
    'a refund that waits behind a question about a movement of its member': ({ store }) => {
      append(store.events, 'given-back', 'BookingHistoryLost', {})
      append(store.events, 'given-back', 'OperatorNeeded', { step: 'refund', why: 'history-lost' })
      store.openSteps.push(openStep('given-back', 'operator-decision'), openStep('kept', 'refund'))
    },
    'a booking that a restore took away': ({ store, evidence }) => {
      evidence.lostEvents = store.events.filter(({ stream }) => stream === 'booking-kept')
      remove(store.events, ({ stream }) => stream === 'booking-kept')
    },
  },
  'partner-equals-ledger': {
    'a movement that stands in the operators’ queue': (world) => {
      deductForRefused(world)
      append(world.store.events, 'refused', 'OperatorNeeded', { step: 'deduct', why: 'inconclusive-balance' })
    },
    'a movement that a restore took away and a person settled again': ({ store, evidence }) => {
      evidence.lostEvents = [eventOf(store.events, memberId, 'MovementSettled')]
    },
    'a movement across a reset of the partner': (world) => {
      deductForRefused(world)
      const unknown = eventOf(world.store.events, 'refused', 'OutcomeUnknown')
      world.evidence.partnerPeriods.push({ endedAt: unknown.recordedAt, members: {}, transactions: [] })
      world.partner.periods.push({ members: { [memberId]: { balance: 1000 } }, transactions: [] })
    },
  },
}

describe('an invariant', () => {
  for (const { name, says, check } of invariants.filter((one) => one.name !== 'no-personal-data')) {
    describe(`${name}: ${says}`, () => {
      it('accepts a sound world', async () => {
        expect((await check(soundWorld())).violations).to.deep.equal([])
      })
      for (const [title, plant] of Object.entries(planted[name] ?? {})) {
        it(`says so when ${title}`, async () => {
          const world = soundWorld()
          plant(world)
          expect((await check(world)).violations, 'violations').to.have.length.greaterThan(0)
        })
      }
      for (const [title, plant] of Object.entries(allowed[name] ?? {})) {
        it(`accepts ${title}`, async () => {
          const world = soundWorld()
          plant(world)
          expect((await check(world)).violations).to.deep.equal([])
        })
      }
    })
  }

  it('is shown violations, whichever it is', () => {
    const shown = new Set([...Object.keys(planted), 'no-personal-data'])
    expect(invariants.map(({ name }) => name).filter((name) => !shown.has(name))).to.deep.equal([])
  })
})

function eventOf(events: readonly StoredEvent[], id: string, type: string): StoredEvent {
  return events.find((event) => event.stream.endsWith(`-${id}`) && event.type === type) as StoredEvent
}

/** Puts other values into something that the sound world has. */
const eventOfStream = (events: readonly StoredEvent[], stream: string): StoredEvent =>
  events.find((event) => event.stream === stream) as StoredEvent

function change<T extends object>(target: T | undefined, values: Partial<T>): void {
  Object.assign(target as T, values)
}

/** A restore whose backup was taken just before the last events, as every backup is: they were recorded after the fault began. */
function loseLast(world: World, count: number): World {
  world.evidence.lostEvents = world.store.events.splice(-count)
  const [first] = world.evidence.lostEvents
  const from = new Date(Date.parse(first?.recordedAt ?? '') - 500).toISOString()
  world.evidence.faults.push({ kind: 'restore', target: 'write database', from, until: at(150) })
  return world
}

/** The partner made the deduction of the booking that failed. */
function deductForRefused(world: World): void {
  movementsOf(world).push({ ...movement(world, 0), transaction_id: 'txn-3', reference_id: 'refused:deduct:1' })
  change(world.partner.periods[0], { members: { [memberId]: { balance: 800 } } })
}

/** Adds an event behind its stream's last, at the end of its partition. */
function append(events: StoredEvent[], id: string, type: string, data: Record<string, unknown>): void {
  const last = events.findLast(({ stream }) => stream.endsWith(`-${id}`)) as StoredEvent
  const position = (events.findLast(({ topic }) => topic === last.topic)?.position ?? 0) + 1
  const eventId = `added-${events.length}`
  const next = { streamVersion: last.streamVersion + 1, type, data: { at: at(99), ...data }, recordedAt: at(99) }
  events.push({ ...last, ...next, eventId, position })
}

function remove(events: StoredEvent[], isGone: (event: StoredEvent) => boolean): void {
  const kept = events.filter((event) => !isGone(event))
  events.splice(0, events.length, ...kept)
}

function openStep(id: string, step: string) {
  return { tenantId, stream: `booking-${id}`, step, attempt: 1, dueAt: at(1), isClaimed: false, of: null, why: null }
}

const answerOf = ({ requests }: World['evidence'], nth: number, attempt: number) =>
  requests[nth]?.tries[attempt] as World['evidence']['requests'][number]['tries'][number]
const readOf = ({ evidence }: World, path: string) =>
  evidence.reads.find(
    (read) => read.path.includes(path) && read.principal === principal,
  ) as World['evidence']['reads'][number]
const movementsOf = ({ partner }: World) => partner.periods[0]?.transactions ?? []
const movement = (world: World, nth: number) =>
  movementsOf(world)[nth] as World['partner']['periods'][number]['transactions'][number]
const cancelling = ({ calls }: World['supplier']) => calls.at(-1) as World['supplier']['calls'][number]
