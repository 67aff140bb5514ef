/**
 * Steps of streams: the table that follows their events, and what of it the sweep is handed (P9, P12).
 *
 * Seen failing: with steps swept before their time.
 */
import type { StepJob, SweptSteps } from '@portolan/schemas/steps.ts'
import { expect } from 'chai'
import { findOverdueSteps } from './overdue-steps.ts'
import { add, type CounterEvent, counterType, createStoreFixture, type Fixture, type Store } from './store-fixture.ts'

describe('steps of a stream', () => {
  let fixture: Fixture
  let store: Store
  let nextId = 0
  const newStream = () => `counter-${++nextId}`

  before(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open()
  })
  after(() => fixture.close())

  const eventsOf = async (stream: string) =>
    (await fixture.admin.query('select * from events where stream = $1 order by stream_version', [stream])).rows

  const wantWork = (step: string, attempt: number): CounterEvent => ({ type: 'WorkWanted', data: { step, attempt } })
  const openSteps = async (stream: string) =>
    (await fixture.admin.query('select * from open_steps where stream = $1', [stream])).rows

  it('opens what the process manager wants, with the event that asked for it as cause', async () => {
    const stream = newStream()
    await add(store, stream, [wantWork('deduct', 1)])
    const events = await eventsOf(stream)
    expect(events.map(({ type }) => type)).to.deep.equal(['WorkWanted', 'StepRequested'])
    const overdue = await findOverdueSteps(store.pool, { graceMs: 0, limit: 1000, eachMax: 100 })
    expect(overdue.find((job) => job.stream === stream)).to.deep.include({
      tenantId: 'harbour',
      step: 'deduct',
      attempt: 1,
      input: { of: 'deduct' },
      dueAt: '2026-01-01T00:00:00.000Z',
      causationId: events[1].event_id,
    })
  })

  it('keeps the table in line with the events: claimed, ended, asked for again, withdrawn', async () => {
    const stream = newStream()
    await add(store, stream, [wantWork('deduct', 1)])
    const lostAt = '2026-01-01T01:00:00.000Z'
    const claim = {
      step: 'deduct',
      attempt: 1,
      executionId: '0f0c1c9e-1111-4222-8333-444455556666',
      callBefore: lostAt,
      lostAt,
    }
    await add(store, stream, [{ type: 'AttemptStarted', data: claim }])
    expect((await openSteps(stream))[0].claimed_until.toISOString()).to.equal(lostAt)
    expect(await overdueOf(stream)).to.equal(undefined)
    const end = { step: 'deduct', attempt: 1, outcome: 'not-done' as const, code: null, retryAt: null, at: lostAt }
    await add(store, stream, [{ type: 'AttemptEnded', data: end }, wantWork('deduct', 2)])
    expect((await openSteps(stream))[0]).to.include({ attempt: 2, claimed_until: null })
    await add(store, stream, [{ type: 'AttemptEnded', data: end }])
    expect(await openSteps(stream), 'an end of the attempt before').to.have.length(1)
    await add(store, stream, [{ type: 'WorkDropped', data: {} }])
    expect(await openSteps(stream)).to.have.length(0)
    expect((await store.load('harbour', counterType, stream)).state.open).to.deep.equal([])
  })
  const overdueOf = async (stream: string) =>
    (await findOverdueSteps(store.pool, { graceMs: 0, limit: 1000, eachMax: 100 })).find((job) => job.stream === stream)

  it('hands the sweep only so many of one tenant and step', async () => {
    await Promise.all(Array.from({ length: 6 }, () => add(store, newStream(), [wantWork('crowded', 1)])))
    const overdue = await findOverdueSteps(store.pool, { graceMs: 0, limit: 1000, eachMax: 4 })
    expect(overdue.filter(({ step }) => step === 'crowded')).to.have.length(4)
    expect(
      await findOverdueSteps(store.pool, { graceMs: Date.now(), limit: 1000, eachMax: 4 }),
      'younger',
    ).to.have.length(0)
  })

  it('hands the sweep every overdue step, page by page, and leaves out what it wants no more of', async () => {
    const names = (jobs: StepJob[]) => jobs.map(({ step, stream }) => `${step} ${stream}`)
    const streams = ['busy', 'busy', 'busy', 'busy', 'busy', 'quiet'].map((step) => ({ step, stream: newStream() }))
    for (const { step, stream } of streams) await add(store, stream, [wantWork(step, 1)])
    const expected = streams.map(({ step, stream }) => `${step} ${stream}`).sort()

    const found: StepJob[] = []
    const seen = new Map<string, SweptSteps>()
    for (let page = 0; page < 20; page++) {
      const jobs = await findOverdueSteps(store.pool, { graceMs: 0, limit: 4, eachMax: 2, seen: [...seen.values()] })
      found.push(...jobs)
      for (const { tenantId, step, dueAt, stream } of jobs)
        seen.set(`${tenantId} ${step}`, { tenantId, step, upTo: { dueAt, stream } })
      if (jobs.length === 0) break
    }
    const ours = names(found).filter((name) => /^(busy|quiet) /.test(name))
    expect(ours.toSorted()).to.deep.equal(expected)
    const unwanted = [{ tenantId: 'harbour', step: 'busy', upTo: null }]
    const rest = await findOverdueSteps(store.pool, { graceMs: 0, limit: 1000, eachMax: 100, seen: unwanted })
    expect(rest.map(({ step }) => step))
      .to.include('quiet')
      .and.not.include('busy')
  })
})
