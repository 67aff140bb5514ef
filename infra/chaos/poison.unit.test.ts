// A laboratory whose databases answer slowly, late, or not at all for a while: the fault waits for what it needs, and leaves nothing parked.
// Sabotages: give up when nobody has booked; look for what is parked once, or for so many seconds; do not wait for older transactions.
import { expect } from 'chai'
import type pg from 'pg'
import type { Laboratory } from './laboratory.ts'
import { poison } from './poison.ts'

describe('poison', () => {
  it('waits for a booking and for what is parked, however long that takes', async () => {
    const lab = createLab({ bookedAtLook: 50, parkedAtLook: 300 })
    const { victim, parked } = await poison(lab, lab.course)
    expect(victim).to.deep.equal({ tenant: 'teahouse', member: 'TH1' })
    expect(parked).to.deep.equal(['booking-1'])
    expect(lab.state).to.deep.include({ isBroken: false, parked: [] })
    expect(lab.retried).to.deep.equal(['booking_details.v2 booking-1'])
  })

  it('retries what a transaction from before the repair parks after it', async () => {
    const lab = createLab({ bookedAtLook: 0, parkedAtLook: 0, isLate: true })
    await poison(lab, lab.course)
    expect(lab.retried).to.deep.equal(['booking_details.v2 booking-1', 'booking_details.v2 booking-2'])
    expect(lab.state.parked).to.deep.equal([])
  })

  it('breaks nothing when the run is over before anybody has booked', async () => {
    const lab = createLab({ bookedAtLook: Number.POSITIVE_INFINITY, parkedAtLook: 0 })
    const poisoned = await poison(lab, { ...lab.course, isOver: () => lab.state.looks > 20 })
    expect(poisoned).to.deep.equal({ victim: undefined, parked: [] })
    expect(lab.state.wasBroken).to.equal(false)
  })

  it('repairs when the run is over before anything is parked', async () => {
    const lab = createLab({ bookedAtLook: 0, parkedAtLook: Number.POSITIVE_INFINITY })
    const { parked } = await poison(lab, { ...lab.course, isOver: () => lab.state.looks > 20 })
    expect(parked).to.deep.equal([])
    expect(lab.state).to.deep.include({ wasBroken: true, isBroken: false })
  })
})

/** isLate: a transaction that met the constraint parks a second stream only after two looks at what is older than the repair. */
function createLab(story: { bookedAtLook: number; parkedAtLook: number; isLate?: boolean }) {
  const state = { looks: 0, isBroken: false, wasBroken: false, olderLooks: 0, parked: [] as string[] }
  const retried: string[] = []
  const answer = (text: string): object[] => {
    if (text.includes('order by recorded_at desc'))
      return state.looks < story.bookedAtLook ? [] : [{ tenant: 'teahouse', member: 'TH1' }]
    if (text.includes('projection_versions')) return [{ schema: 'booking_details_2', version: 2 }]
    if (text.includes('add constraint')) Object.assign(state, { isBroken: true, wasBroken: true })
    else if (text.includes('drop constraint')) state.isBroken = false
    if (text.includes('from events')) return ['booking-1', 'booking-2'].map((stream) => ({ stream }))
    if (text.includes('parked_streams')) {
      if (state.isBroken && state.parked.length === 0 && state.looks >= story.parkedAtLook) state.parked = ['booking-1']
      return state.parked.map((stream) => ({ stream }))
    }
    if (text.includes('pg_stat_activity') && story.isLate) {
      state.olderLooks += 1
      if (state.olderLooks === 2) state.parked.push('booking-2')
      return state.olderLooks < 2 ? [{ pid: 1 }] : []
    }
    return []
  }
  const lab: Partial<Laboratory> = {
    query: async <Row extends pg.QueryResultRow>(_url: string, text: string) => answer(text) as Row[],
    runEntry: async (_entry, [_retry, consumer, stream]) => {
      retried.push(`${consumer} ${stream}`)
      state.parked = state.parked.filter((one) => one !== stream)
      return ''
    },
  }
  const course = {
    forMs: 1_000,
    isOver: () => false,
    last: async () => {
      state.looks += 1
    },
  }
  return Object.assign(lab as Laboratory, { state, retried, course })
}
