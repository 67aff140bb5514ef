/** What an operator does about one booking: the same as the routes below /ops/tenants, signed in, with the reason in the audit trail. */
import type { BookingProgress, Dispute } from '@portolan/schemas/bookings/read-models.ts'
import { opsCommandAnswerSchema } from '@portolan/schemas/ops/views.ts'
import { Obstacle } from '../launch/say.ts'
import type { Arguments, Command, Outcome } from './command.ts'
import type { Connections } from './connect.ts'
import type { Row } from './table.ts'

/** Steps about which the other side's record is an order; of the others it is a transaction. */
const orderSteps = ['place-hold', 'issue-tickets', 'cancel-order']

const outcome: Command = {
  name: 'outcome',
  takes: ['<booking>'],
  help: 'what is known about a call whose outcome is not: balance before, what every look showed, why machines cannot go on',
  async run(connections, args) {
    const booking = args.values[0] ?? ''
    const { tenant, version } = await findBooking(connections, booking, args)
    const { rows } = await connections.read.query<{ progress: BookingProgress; stream_version: number }>(
      'select progress, stream_version from read_models.booking_list where tenant_id = $1 and booking_id = $2',
      [tenant, booking],
    )
    const shown = rows[0]?.stream_version ?? 0
    const isGood = shown >= version
    const behind = isGood ? [] : [`the read model is behind: it knows ${shown} of ${version} events of this booking`]
    const { operator = null, unknown = null, disputed, evidence } = rows[0]?.progress ?? {}
    const dispute = (operator ?? unknown) ? undefined : disputed?.[0]
    const question = operator ?? unknown ?? dispute
    if (!question) return { isGood, notes: isGood ? [`nothing about booking ${booking} is unknown`] : behind }
    const { step, attempt, why, until } = question
    const { movement, claimedAt, callBefore, seen = [] } = evidence ?? {}
    const before = movement?.balanceBefore ?? null
    const change = movement?.kind === 'deduction' ? -movement.amount : (movement?.amount ?? 0)
    const notes = [
      ...behind,
      `${step}, attempt ${attempt}: ${why}; ${question === unknown ? 'machines look' : 'to be decided'} until ${until}`,
      ...(dispute ? [reportedInWords(dispute.reported)] : []),
      ...(claimedAt ? [`the call was sent, if it was, between ${claimedAt} and ${callBefore}`] : []),
      ...(before === null ? [] : [`the balance was ${before} before; if it happened, it became ${before + change}`]),
    ]
    return {
      rows: seen.map(({ look, at, saw }): Row => ({ look, at, saw: inWords(saw) })),
      none: 'nothing was seen',
      notes,
      isGood,
    }
  },
}

function reportedInWords({ orderId, bookingReference, transactionId }: Dispute['reported']): string {
  const named = [orderId, bookingReference, transactionId].filter((id) => id !== null).join(', ')
  return `its caller reported ${named || 'a success'} after that was concluded: \`correct\` says which is true, also when the conclusion is`
}

function inWords(saw: NonNullable<BookingProgress['evidence']>['seen'][number]['saw']): string {
  switch (saw.kind) {
    case 'balance':
      return `balance ${saw.balance}`
    case 'no-order':
      return 'no order of this booking'
    case 'order': {
      const state = saw.cancelled ? 'cancelled' : saw.awaitingPayment ? 'not paid' : `${saw.tickets} tickets`
      return `order ${saw.orderId}, ${saw.totalAmount} ${saw.totalCurrency}, ${state}`
    }
    case 'nothing':
      return `nothing: ${saw.code}`
  }
}

const approve: Command = {
  name: 'approve',
  takes: ['<booking>'],
  help: 'approve a booking that waits for it',
  run: (connections, args) => command(connections, args, 'approve', {}),
}

const reject: Command = {
  name: 'reject',
  takes: ['<booking>', '<reason>'],
  help: 'reject a booking that waits for approval',
  run: (connections, args) => command(connections, args, 'reject', { reason: args.values[1] }),
}

const decide: Command = {
  name: 'decide',
  takes: ['<booking>', '<step>', '<attempt>', '<decision>', '<reason>', '[id]'],
  help: 'say what became of a call: happened, did-not-happen, retry or owe; with the id of the transaction or order that was found',
  run(connections, args) {
    const [, step = '', attempt, decision, reason, id] = args.values
    return command(connections, args, 'decide-outcome', {
      step,
      attempt: Number(attempt),
      decision,
      reason,
      ...named(step, id),
    })
  },
}

const correct: Command = {
  name: 'correct',
  takes: ['<booking>', '<step>', '<attempt>', '<truth>', '<reason>', '[id]'],
  help: 'a conclusion was wrong, or is disputed: happened or did-not-happen is the truth; the ledger gets compensating entries',
  run(connections, args) {
    const [, step = '', attempt, truth = '', reason, id] = args.values
    if (truth !== 'happened' && truth !== 'did-not-happen') {
      throw new Obstacle('The truth is either happened or did-not-happen.')
    }
    const body = { step, attempt: Number(attempt), happened: truth === 'happened', reason, ...named(step, id) }
    return command(connections, args, 'correct-outcome', body)
  },
}

const settle: Command = {
  name: 'settle',
  takes: ['<booking>', '<how>', '<amount>', '<reason>'],
  help: 'outside of the partner: refund was given back, recovered came in from the member, waived is given up; the amount as the ledger shows it',
  run(connections, args) {
    const [, how = '', seen, reason] = args.values
    const settled = { amount: Number(seen), reason }
    if (how === 'refund') return command(connections, args, 'settle-refund', settled)
    if (how === 'recovered' || how === 'waived')
      return command(connections, args, 'settle-recovery', { how, ...settled })
    throw new Obstacle('It is one of refund, recovered and waived.')
  },
}

const named = (step: string, id: string | undefined) =>
  id === undefined ? {} : orderSteps.includes(step) ? { orderId: id } : { transactionId: id }

async function command(connections: Connections, args: Arguments, verb: string, body: unknown): Promise<Outcome> {
  const booking = args.values[0] ?? ''
  const { tenant } = await findBooking(connections, booking, args)
  const path = `/ops/tenants/${encodeURIComponent(tenant)}/bookings/${encodeURIComponent(booking)}/${verb}`
  const { status } = opsCommandAnswerSchema.parse(await connections.asOperator(path, body))
  return { notes: [`booking ${booking} of ${tenant} is ${status}`] }
}

/** The one tenant that has this booking, and how many events the store has of it. Rejects with an Obstacle when none or several have. */
async function findBooking(
  { write }: Connections,
  booking: string,
  { tenant }: Arguments,
): Promise<{ tenant: string; version: number }> {
  const { rows } = await write.query<{ tenant: string; version: number }>(
    'select tenant_id as tenant, version from streams where stream = $1 and ($2::text is null or tenant_id = $2) limit 2',
    [`booking-${booking}`, tenant],
  )
  const [only] = rows
  if (!only) throw new Obstacle(`There is no booking ${booking}${tenant ? ` of ${tenant}` : ''}.`)
  if (rows.length > 1) throw new Obstacle(`Several tenants have a booking ${booking}: name one with --tenant.`)
  return only
}

export const outcomeCommands: readonly Command[] = [outcome, approve, reject, decide, correct, settle]
