/**
 * Held fares and the supplier's webhook: a hold that cannot be paid in time is given up, and a webhook makes a poll due now but is believed
 * in nothing else (loyalty contract 3.2, design section 5).
 *
 * Seen failing: with a hold that neither its timer nor the next claim ends; with a hold left standing after the deduction failed; with any signature taken; with
 * StepHastened without effect on the step.
 */
import { createHmac } from 'node:crypto'
import { createServer } from 'node:net'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expectLedgerBalanced } from '@portolan/infra/testing/ledger.ts'
import { expect } from 'chai'
import pg from 'pg'
import { expectProblem } from './loyalty-client.ts'
import type { Member } from './member.ts'
import { type System, startSystem } from './system.ts'

const opening = 400_000
const holdSeconds = 5
const webhookSecret = 'a-webhook-secret-of-tests'
/** Duffel's test route with fares that can be held only. */
const holdable = { origin: 'JFK', destination: 'EWR' }
/** Duffel's test route whose orders and payments are answered 202 and happen later. */
const accepted = { origin: 'SEN', destination: 'STN' }

describe('a fare that can be held', function () {
  this.timeout(60_000)
  let system: System
  let member: Member
  before(async function () {
    this.timeout(120_000)
    const port = await freePort()
    system = await startSystem({
      env: {
        COMMAND_API_PORT: String(port),
        DUFFEL_WEBHOOK_SECRET: webhookSecret,
        // Without a webhook nothing would be noticed in the time of a test.
        POLL_EVERY_MS: '90000',
        POLL_WINDOW_MS: '300000',
      },
      sandboxEnv: {
        SANDBOX_HOLD_TTL_SECONDS: String(holdSeconds),
        SANDBOX_ASYNC_DELAY_SECONDS: '3',
        SANDBOX_WEBHOOK_URL: `http://127.0.0.1:${port}/hooks/duffel`,
        SANDBOX_WEBHOOK_SECRET: webhookSecret,
      },
    })
  })
  after(() => system?.stop())
  beforeEach(async () => {
    await system.coffeechain.clearFaults()
    await system.duffel.clearFaults()
    member = await system.newMember({ balance: opening })
  })

  const reaches = (bookingId: string, status: string, withinMs = 20_000) =>
    eventually(async () => expect((await member.get(bookingId)).body.data?.status).to.equal(status), {
      withinMs,
      everyMs: 100,
    })
  const orderOf = async (bookingId: string) => {
    const { orders } = (await system.duffel.state()) as { orders: { metadata: { booking_id?: string } }[] }
    return orders.find(({ metadata }) => metadata.booking_id === bookingId)
  }
  const eventsOf = async (bookingId: string): Promise<string[]> => {
    const client = new pg.Client({ connectionString: system.writeDatabase.adminUrl })
    await client.connect()
    const sql = 'select type from events where stream = $1 order by stream_version'
    const { rows } = await client.query<{ type: string }>(sql, [`booking-${bookingId}`])
    await client.end()
    return rows.map(({ type }) => type)
  }

  describe('is held before the stars are deducted', () => {
    it('and paid afterwards', async () => {
      const answer = await member.book(await member.findFlight(holdable))
      expect(answer.body.data?.status, JSON.stringify(answer.body)).to.equal('confirmed')
      const { booking_id } = answer.body.data
      expect(await orderOf(booking_id)).to.include({ type: 'hold', paid: true, cancelled: false })
      const facts = (await eventsOf(booking_id)).filter((type) => /^(Hold|Payment|BookingC)/.test(type))
      expect(facts).to.deep.equal(['HoldPlaced', 'PaymentDeducted', 'BookingConfirmed'])
    })

    it('and given up when the deduction is refused', async () => {
      const detail = { error: 'insufficient_balance', message: 'x', current_balance: 7, requested_amount: 9 }
      await system.coffeechain.setFaults([
        { operation: 'deduct', times: 1, effect: 'skip', answer: { status: 400, body: { detail } } },
      ])
      const answer = await member.book(await member.findFlight(holdable))
      expect(answer.status).to.equal(403)
      const { booking_id } = answer.body.error
      await reaches(booking_id, 'failed')
      expect(await orderOf(booking_id)).to.include({ paid: false, cancelled: true })
      expect(await system.coffeechain.balance(member.memberId)).to.equal(opening)
    })

    it('and given up when the deduction stalls until the hold ends: expired, nothing deducted', async () => {
      await system.coffeechain.setFaults([{ operation: 'deduct', effect: 'skip', answer: { status: 503 } }])
      const flight = await member.findFlight(holdable)
      const answer = await member.book(flight)
      const { booking_id } = answer.body.error
      expectProblem(answer, {
        status: 409,
        type: 'conflict',
        title: 'Conflict',
        detail: 'The flight is no longer available at this price',
        extra: { booking_id },
      })
      await reaches(booking_id, 'expired')
      expect(await orderOf(booking_id)).to.include({ paid: false })
      expect(await eventsOf(booking_id))
        .to.include.members(['HoldPlaced', 'BookingExpired'])
        .and.not.include('PaymentDeducted')
      expect(await system.coffeechain.balance(member.memberId)).to.equal(opening)
      expectProblem(await member.cancel(booking_id), {
        status: 409,
        type: 'not-cancellable',
        title: 'Not Cancellable',
        extra: { booking_id },
      })
      await eventually(() => expectLedgerBalanced(system.readDatabase.adminUrl))
    })
  })

  describe('is confirmed by the supplier later (202)', () => {
    const hook = (body: string, signature?: string) =>
      fetch(`${system.commandApis[0]?.url}/hooks/duffel`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(signature ? { 'X-Duffel-Signature': signature } : {}) },
        body,
      })

    it('as soon as its webhook arrives, long before the next poll', async () => {
      const answer = await member.book(await member.findFlight(accepted), { Prefer: 'wait=1' })
      expect(answer.status, JSON.stringify(answer.body)).to.equal(202)
      const { booking_id } = answer.body.data
      await reaches(booking_id, 'confirmed', 15_000)
      expect(await eventsOf(booking_id)).to.include('StepHastened')
      const { webhook_deliveries } = (await system.duffel.state()) as {
        webhook_deliveries: { delivery_success: boolean }[]
      }
      expect(
        webhook_deliveries.some(({ delivery_success }) => delivery_success),
        'the supplier’s own signature',
      ).to.equal(true)
    })

    it('but not for a webhook whose signature is missing, wrong, of another body, or old', async () => {
      const body = JSON.stringify({ id: 'wev_1', type: 'order.created', data: { object: { id: 'ord_1' } } })
      const now = Math.floor(Date.now() / 1000)
      const good = signed(body, now)
      for (const signature of [
        undefined,
        'nonsense',
        't=,v1=',
        good.replace('v1=', 'v2='),
        signed(body, now, 'another-secret'),
        signed(`${body} `, now),
        signed(body, now - 301),
        signed(body, now + 301),
        good.replace(`t=${now}`, `t=${now - 1}`),
      ]) {
        const response = await hook(body, signature)
        expect(response.status, String(signature)).to.equal(401)
        expect(await response.json()).to.include({ code: 'unauthorized', instance: '/hooks/duffel' })
      }
      const taken = await hook(body, good)
      expect(taken.status).to.equal(200)
      expect(await taken.json()).to.deep.equal({ received: true })
    })

    it('and a webhook that is signed but cannot be read is 400', async () => {
      const now = Math.floor(Date.now() / 1000)
      for (const body of ['', '{', '[]', '{"type":"order.created"}']) {
        expect((await hook(body, signed(body, now))).status, body).to.equal(400)
      }
    })

    it('and a webhook about another order hastens nothing', async () => {
      const answer = await member.book(await member.findFlight(accepted), { Prefer: 'wait=1' })
      expect(answer.status).to.equal(202)
      const { booking_id } = answer.body.data
      const body = JSON.stringify({ id: 'wev_2', type: 'order.created', data: { object: { id: 'ord_of_others' } } })
      expect((await hook(body, signed(body, Math.floor(Date.now() / 1000)))).status).to.equal(200)
      expect(await eventsOf(booking_id)).not.to.include('StepHastened')
      await reaches(booking_id, 'confirmed', 15_000)
    })
  })
})

function signed(body: string, seconds: number, secret = webhookSecret): string {
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`
}

/** A port that was free a moment ago: the supplier must know where its webhooks go before we start. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (!address || typeof address === 'string') throw new Error('no port')
  return address.port
}
