import { randomUUID } from 'node:crypto'
import type { EventEnvelope } from '@portolan/schemas/envelope.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { createDispatch, queueChanges, topicsWithSteps } from './dispatch.ts'
import { jobIdOf } from './steps/step-queue.ts'

const at = '2027-01-01T00:00:00.000Z'
const now = Date.parse(at)

function eventOf(type: string, data: unknown, stream = 'booking-1') {
  const envelope: EventEnvelope = {
    eventId: randomUUID(),
    type,
    schemaVersion: 1,
    tenantId: 'coffeechain',
    stream,
    streamVersion: 1,
    topic: topics.bookings,
    partition: 0,
    position: 1,
    recordedAt: at,
    data,
    metadata: {
      correlationId: 'c',
      causationId: null,
      actor: { kind: 'member', id: 'CC1' },
      mockError: 'true',
      traceparent: 't',
    },
  }
  return {
    topic: topics.bookings,
    type,
    envelope,
    offset: 0,
    partition: 0,
    position: 1,
    tenantId: 'coffeechain',
    stream,
    streamVersion: 1,
    value: '',
    unreadable: null,
  }
}

const request = (attempt: number) => ({ step: 'deduct', attempt, dueAt: at, deadline: at, input: { memberId: 'CC1' } })

describe('dispatch', () => {
  it('reads every topic whose streams may ask for steps', () => {
    expect(topicsWithSteps).to.deep.equal([topics.bookings])
  })

  it('makes a job of a step that is asked for, with everything its worker needs', () => {
    const event = eventOf('StepRequested', request(1))
    expect(queueChanges([event], now)).to.deep.equal({
      add: [
        {
          tenantId: 'coffeechain',
          stream: 'booking-1',
          ...request(1),
          correlationId: 'c',
          causationId: event.envelope.eventId,
          mockError: 'true',
          traceparent: 't',
        },
      ],
      remove: [],
    })
  })

  // Seen failing: without it, a Kafka that was wiped and filled again had every look-up of the log made once more.
  it('makes no job of a step that was due long ago, and takes it out when it is withdrawn', () => {
    const later = now + 61_000
    expect(queueChanges([eventOf('StepRequested', request(1))], later).add).to.deep.equal([])
    expect(queueChanges([eventOf('StepRequested', request(1))], now + 59_000).add).to.have.length(1)
    const withdrawn = eventOf('StepWithdrawn', { step: 'deduct', attempt: 1, dueAt: at })
    expect(queueChanges([withdrawn], later).remove).to.have.length(1)
  })

  it('takes out a step that is withdrawn, and keeps the one asked for in its place', () => {
    const events = [
      eventOf('StepRequested', request(1)),
      eventOf('StepWithdrawn', { step: 'deduct', attempt: 1, dueAt: at }),
      eventOf('StepRequested', request(2)),
    ]
    const { add, remove } = queueChanges(events, now)
    expect(add.map(({ attempt }) => attempt)).to.deep.equal([2])
    expect(remove).to.deep.equal([{ tenantId: 'coffeechain', stream: 'booking-1', step: 'deduct', attempt: 1 }])
  })

  it('leaves a step that lies far ahead to the sweep, and takes nothing out when that is withdrawn', () => {
    const inMs = (ms: number) => new Date(now + ms).toISOString()
    const asked = (dueInMs: number) => eventOf('StepRequested', { ...request(1), dueAt: inMs(dueInMs) })
    const withdrawn = (dueAt?: string) =>
      eventOf('StepWithdrawn', { step: 'deduct', attempt: 1, ...(dueAt && { dueAt }) })
    const counts = (...events: ReturnType<typeof eventOf>[]) => {
      const { add, remove } = queueChanges(events, now)
      return [add.length, remove.length]
    }
    expect(counts(asked(60_000))).to.deep.equal([1, 0])
    expect(counts(asked(60_001))).to.deep.equal([0, 0])
    expect(counts(withdrawn(inMs(60_001)))).to.deep.equal([0, 0])
    expect(counts(withdrawn(inMs(60_000))), 'it may have been asked for when it was near').to.deep.equal([0, 1])
    expect(counts(withdrawn()), 'an older event does not say when it was due').to.deep.equal([0, 1])
  })

  it('passes over everything else', () => {
    expect(queueChanges([eventOf('BookingApproved', { by: 'x', at })], now)).to.deep.equal({ add: [], remove: [] })
  })

  it('refuses a step that cannot be read, so that its stream is parked', () => {
    expect(() => queueChanges([eventOf('StepRequested', { step: 'deduct' })], now)).to.throw()
  })

  it('never lets trouble with the queue look like a bad event', async () => {
    const queue = {
      add: () => Promise.reject(new Error('OOM command not allowed')),
      remove: async () => {},
      gone: async () => {},
    }
    const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger }
    const failure = await createDispatch({ queue, logger, now: () => now })([
      eventOf('StepRequested', request(1)),
    ]).catch((error) => error)
    expect(failure).to.include({ code: 'ECONNREFUSED' })
  })
})

describe('the id of a step job', () => {
  it('names its attempt without ambiguity and without colons', () => {
    const id = jobIdOf({ tenantId: 'a', stream: 'member-account-x:y/z', step: 'deduct', attempt: 2 })
    expect(id).to.equal('a/member-account-x%3Ay%2Fz/deduct/2')
  })
})
