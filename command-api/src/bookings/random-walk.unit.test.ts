/**
 * Promises P7, P8 and P9 of a booking on random walks; `RANDOM_WALK_SEED=<seed>` repeats one, `RANDOM_WALKS=<n>` takes more. Seen failing when: a
 * movement starts while another is open; an unknown outcome is tried again; a lost call counts as never sent; anybody's late report is
 * believed; a refund is not remembered; a movement that was not done stays open; the partner's reset balance is believed.
 */
import { expect } from 'chai'
import type { BookingSpec } from './booking-spec.ts'
import { BookingWorld } from './booking-world-spec.ts'

const seeds = process.env.RANDOM_WALK_SEED
  ? [Number(process.env.RANDOM_WALK_SEED)]
  : Array.from({ length: Number(process.env.RANDOM_WALKS ?? 60) }, () => Math.floor(Math.random() * 2 ** 32))

describe('three bookings of one member among careless workers', () => {
  it(`keep every rule on ${seeds.length} random walks`, function () {
    this.timeout(120_000)
    for (const seed of seeds) walk(seed)
  })
})

function walk(seed: number): void {
  const world = new BookingWorld(seed)
  const path: string[] = []
  try {
    for (let i = 0; i < 200; i += 1) {
      path.push(world.step())
      checkMoney(world)
    }
    expect(world.finish(1000), 'every booking comes to its end').to.equal(true)
    checkMoney(world)
    expect(world.member.account.open, 'open movement').to.equal(null)
    for (const spec of world.bookings) checkEnd(world, spec)
  } catch (error) {
    const history = world.bookings.map(historyOf).join('\n\n')
    throw new Error(
      `RANDOM_WALK_SEED=${seed} fails after step ${path.length} (${path.slice(-3).join(', ')}): ${String(error)}\n${history}`,
      {
        cause: error,
      },
    )
  }
}

/** What the member's account says about movements is what the partner did. */
function checkMoney({ member, moved }: BookingWorld): void {
  const idsOf = (type: string) =>
    member.events.flatMap((event) => (event.type === type && 'movementId' in event.data ? [event.data.movementId] : []))
  const settled = idsOf('MovementSettled')
  const voided = idsOf('MovementVoided').filter((id) => !settled.includes(id))
  const opened = idsOf('MovementOpened').filter((id) => !settled.includes(id) && !voided.includes(id))
  expect(new Set(settled).size, 'movements settled once').to.equal(settled.length)
  expect(opened, 'movements open at once').to.have.length.at.most(1)
  expect(settled, 'movements that the partner made').to.satisfy((ids: string[]) =>
    ids.every((id) => moved.includes(id)),
  )
  expect(
    voided.filter((id) => moved.includes(id)),
    'movements given up that the partner made',
  ).to.deep.equal([])
}

function checkEnd({ member, moved, orders }: BookingWorld, spec: BookingSpec): void {
  const { booking } = spec
  const made = (step: string) => moved.filter((id) => id.startsWith(`${booking.bookingId}:${step}:`)).length
  const owed = member.events.some((e) => e.type === 'RefundOwed' && e.data.bookingId === booking.bookingId)
  const isGivenUp = booking.cancellation?.refundRequested === false && booking.confirmedAt !== null
  const isKept = booking.phase === 'confirmed' || isGivenUp
  expect(made('deduct'), 'deductions').to.be.at.most(1)
  expect(made('deduct') === 1, 'a deduction is known').to.equal(booking.deduction !== null)
  const ends = [made('refund') === 1, owed, made('deduct') === 1 && isKept]
  expect(made('refund'), 'refunds').to.be.at.most(1)
  expect(ends.filter(Boolean), 'ends of a deduction').to.have.lengthOf(made('deduct'))
  expect(orders.get(spec)?.state === 'ticketed', 'a live ticket').to.equal(booking.phase === 'confirmed')
}

function historyOf(spec: BookingSpec): string {
  const words = spec.events.map(({ type, data }) => {
    const { at, step, attempt, outcome, code, dueAt, deadline } = data as Record<string, string | undefined>
    return [at, type, step, attempt, outcome, code, dueAt && `due ${dueAt} until ${deadline}`].filter(Boolean).join(' ')
  })
  return [spec.booking.bookingId, ...words].join('\n')
}
