/**
 * The CoffeeChain stand-in, line by line against the partner contract.
 *
 * Shown to fail with: a sign check in deduct, a refunded flag in refund, `api-timeout` that waits only for its own call.
 */
import { expect } from 'chai'
import { type CoffeeChainOptions, startCoffeeChain } from './coffeechain.ts'
import type { RunningSandbox } from './sandbox-server.ts'

const KEY = { 'x-cc-api-key': 'test_cc_api_key_12345' }
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/

describe('The CoffeeChain stand-in', () => {
  let running: RunningSandbox
  let clockMs = 0

  async function restart(options: CoffeeChainOptions = {}): Promise<void> {
    await running?.stop()
    running = await startCoffeeChain(options)
  }

  // biome-ignore lint/suspicious/noExplicitAny: a JSON answer, whose members the assertions check.
  type Json = any

  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = KEY) {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(running.url + path, {
      method,
      body: text,
      headers: { 'content-type': 'application/json', ...headers },
    })
    const answered = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: (answered ? JSON.parse(answered) : null) as Json,
    }
  }

  const deduct = (id: string, amount: unknown, headers?: Record<string, string>) =>
    call('POST', `/api/v1/members/${id}/deduct`, { amount, reference_id: 'r1', description: 'd' }, headers)
  const refund = (id: string, transactionId: string) =>
    call('POST', `/api/v1/members/${id}/refund`, { transaction_id: transactionId, reason: 'r' })
  const balance = async (id: string) => (await call('GET', `/api/v1/members/${id}/balance`)).body.balance as number
  const approval = (amount: number, headers?: Record<string, string>) =>
    call('POST', '/api/v1/approvals/check', { member_id: 'x', amount, booking_reference: 'b' }, headers)
  const script = (...rules: unknown[]) => call('POST', '/_sandbox/faults', rules)
  const counters = async () => (await call('GET', '/_sandbox/counters')).body as Json

  beforeEach(() => restart())
  after(() => running.stop())

  describe('members', () => {
    it('answer a balance with currency, tier and status', async () => {
      const { status, body } = await call('GET', '/api/v1/members/CC1234567/balance')
      expect(status).to.equal(200)
      expect(body).to.deep.equal({
        member_id: 'CC1234567',
        balance: 150000,
        currency: 'stars',
        tier: 'gold',
        status: 'active',
      })
      expect(await balance('CC2222222')).to.equal(45000)
      expect(await balance('CC3333333')).to.equal(500000)
      expect(await balance('CC0000000')).to.equal(1000)
    })

    it('that do not exist are 404 with the error inside detail', async () => {
      const missing = { detail: { error: 'member_not_found', message: 'Member CC9 not found' } }
      const read = await call('GET', '/api/v1/members/CC9/balance')
      expect([read.status, read.body]).to.deep.equal([404, missing])
      const deducted = await deduct('CC9', 5)
      expect([deducted.status, deducted.body]).to.deep.equal([404, missing])
    })

    it('can be added by a test with a balance of their own, which the hourly reset restores', async () => {
      await call('POST', '/_sandbox/members', { member_id: 'CCT1', balance: 77 })
      await deduct('CCT1', 70)
      expect(await balance('CCT1')).to.equal(7)
      await call('POST', '/_sandbox/hourly-reset')
      expect(await balance('CCT1')).to.equal(77)
      await call('POST', '/_sandbox/reset')
      expect((await call('GET', '/api/v1/members/CCT1/balance')).status).to.equal(404)
    })
  })

  describe('deduct', () => {
    it('takes the amount and answers a transaction with a zoneless microsecond timestamp', async () => {
      const { status, body } = await deduct('CC1234567', 35000)
      expect(status).to.equal(200)
      expect(body).to.include({ member_id: 'CC1234567', amount_deducted: 35000, remaining_balance: 115000 })
      expect(body.transaction_id).to.match(/^txn_[0-9a-f]{12}$/)
      expect(body.timestamp).to.match(STAMP)
    })

    it('is 400 with both amounts when the stars do not suffice, and takes nothing', async () => {
      const { status, body } = await deduct('CC0000000', 1001)
      expect(status).to.equal(400)
      expect(body.detail).to.deep.equal({
        error: 'insufficient_balance',
        message: 'Member has insufficient stars',
        current_balance: 1000,
        requested_amount: 1001,
      })
      expect(await balance('CC0000000')).to.equal(1000)
    })

    it('is not idempotent: the same reference deducts twice', async () => {
      await deduct('CC1234567', 10)
      await deduct('CC1234567', 10)
      expect(await balance('CC1234567')).to.equal(149980)
    })

    it('accepts a negative amount, which adds', async () => {
      expect((await deduct('CC0000000', -500)).body.remaining_balance).to.equal(1500)
    })

    it('accepts a numeric string as an integer', async () => {
      expect((await deduct('CC0000000', '7')).body.amount_deducted).to.equal(7)
    })
  })

  describe('refund', () => {
    it('credits the full amount, any number of times', async () => {
      const { transaction_id } = (await deduct('CC1234567', 100)).body
      const { status, body } = await refund('CC1234567', transaction_id)
      expect(status).to.equal(200)
      expect(body).to.include({
        transaction_id,
        member_id: 'CC1234567',
        amount_refunded: 100,
        new_balance: 150000,
      })
      expect(body.refund_id).to.match(/^ref_[0-9a-f]{12}$/)
      expect(body.timestamp).to.match(STAMP)
      expect((await refund('CC1234567', transaction_id)).body.new_balance).to.equal(150100)
    })

    it('of an unknown transaction is 404, of another member 403', async () => {
      const unknown = await refund('CC1234567', 'txn_x')
      expect([unknown.status, unknown.body.detail]).to.deep.equal([
        404,
        { error: 'transaction_not_found', message: 'Transaction txn_x not found' },
      ])
      const { transaction_id } = (await deduct('CC1234567', 100)).body
      const foreign = await refund('CC2222222', transaction_id)
      expect([foreign.status, foreign.body.detail]).to.deep.equal([
        403,
        { error: 'unauthorized', message: 'Transaction does not belong to this member' },
      ])
    })

    it('is impossible after the hourly reset, which forgot the transaction', async () => {
      const { transaction_id } = (await deduct('CC1234567', 100)).body
      await call('POST', '/_sandbox/hourly-reset')
      expect((await refund('CC1234567', transaction_id)).status).to.equal(404)
      expect(await balance('CC1234567')).to.equal(150000)
    })
  })

  it('resets by itself on the first request more than an hour after the last reset', async () => {
    clockMs = Date.parse('2026-11-21T05:00:00Z')
    await restart({ now: () => clockMs })
    await deduct('CC1234567', 100)
    clockMs += 3_600_000
    expect(await balance('CC1234567')).to.equal(149900)
    clockMs += 1
    expect(await balance('CC1234567')).to.equal(150000)
    clockMs += 3_600_000
    await deduct('CC1234567', 1)
    expect(await balance('CC1234567')).to.equal(149999)
  })

  describe('approval check', () => {
    it('is needed above 50,000 stars, not at 50,000, and asks nobody about the member', async () => {
      expect((await approval(50000)).body).to.deep.equal({
        approval_required: false,
        approval_id: null,
        reason: null,
        estimated_time: null,
      })
      const { body } = await approval(50001)
      expect(body).to.include({
        approval_required: true,
        reason: 'Booking exceeds 50,000 stars limit (50001 stars)',
        estimated_time: 'PT24H',
      })
      expect(body.approval_id).to.match(/^appr_[0-9a-f]{12}$/)
    })

    it('can be forced', async () => {
      const { body } = await approval(1, { ...KEY, 'x-mock-error': 'approval-required' })
      expect(body).to.include({ approval_required: true, reason: 'Forced approval for testing' })
    })
  })

  describe('checks come in this order', () => {
    it('unparseable JSON and invalid fields first, even without a key', async () => {
      const broken = await call('POST', '/api/v1/members/CC1234567/deduct', '{"amount": ', {})
      expect(broken.status).to.equal(422)
      expect(broken.body.detail[0]).to.include({ type: 'json_invalid', msg: 'JSON decode error' })
      expect(broken.body.detail[0].loc[0]).to.equal('body')

      const invalid = await call('POST', '/api/v1/members/CC1234567/deduct', { amount: 'x', description: 5 }, {})
      expect(invalid.status).to.equal(422)
      expect(invalid.body.detail.map((entry: Json) => entry.loc)).to.deep.equal([
        ['body', 'amount'],
        ['body', 'reference_id'],
        ['body', 'description'],
      ])
      expect(invalid.body.detail.map((entry: Json) => entry.type)).to.deep.equal([
        'int_parsing',
        'missing',
        'string_type',
      ])
      expect((await call('POST', '/api/v1/members/CC1234567/deduct', undefined)).body.detail[0]).to.include({
        msg: 'Field required',
      })
    })

    it('then the key, before any mock error', async () => {
      const { status, body } = await deduct('CC1234567', 5, { 'x-cc-api-key': 'wrong', 'x-mock-error': 'true' })
      expect([status, body]).to.deep.equal([401, { detail: { error: 'unauthorized', message: 'Invalid API key' } }])
      expect((await call('GET', '/api/v1/members/CC9/balance', undefined, {})).status).to.equal(401)
    })

    it("then the mock error, before the call's own rules", async () => {
      const { status, body } = await deduct('CC9', 5, { ...KEY, 'x-mock-error': 'insufficient-balance' })
      expect(status).to.equal(400)
      expect(body.detail).to.include({ current_balance: 1000, requested_amount: 5 })
    })

    it('a fractional amount is refused by newer versions and truncated by older ones', async () => {
      expect((await deduct('CC1234567', 10.5)).body.detail[0].type).to.equal('int_from_float')
      await restart({ fractionalAmounts: 'truncate' })
      expect((await deduct('CC1234567', 10.5)).body.amount_deducted).to.equal(10)
    })
  })

  describe('X-Mock-Error', () => {
    const mocked = (value: string) => ({ ...KEY, 'x-mock-error': value })

    it('true is 500, auth-failed is 401, on every endpoint', async () => {
      const error = await deduct('CC1234567', 5, mocked('true'))
      expect([error.status, error.body.detail]).to.deep.equal([
        500,
        { error: 'internal_error', message: 'Simulated error for testing' },
      ])
      const denied = await call('GET', '/api/v1/members/CC1234567/balance', undefined, mocked('auth-failed'))
      expect([denied.status, denied.body.detail]).to.deep.equal([
        401,
        { error: 'unauthorized', message: 'Authentication failed' },
      ])
      expect(await balance('CC1234567')).to.equal(150000)
    })

    it('is ignored by health, by other calls than its own, and in other spellings', async () => {
      expect((await call('GET', '/health', undefined, mocked('true'))).status).to.equal(200)
      const elsewhere = await call(
        'GET',
        '/api/v1/members/CC1234567/balance',
        undefined,
        mocked('insufficient-balance'),
      )
      expect(elsewhere.status).to.equal(200)
      expect((await deduct('CC1234567', 5, mocked('TRUE'))).status).to.equal(200)
    })

    it('api-timeout blocks the whole service, health too, and then carries the call out, even unheard', async () => {
      await restart({ apiTimeoutSeconds: 0.3 })
      const begun = performance.now()
      const givenUp = new AbortController()
      const slow = fetch(`${running.url}/api/v1/members/CC1234567/deduct`, {
        method: 'POST',
        headers: mocked('api-timeout'),
        body: JSON.stringify({ amount: 100, reference_id: 'r', description: 'd' }),
        signal: givenUp.signal,
      }).catch((error: Error) => error.name)
      await until(async () => (await counters()).calls.deduct === 1)
      const health = call('GET', '/health')
      const other = balance('CC1234567')
      givenUp.abort()
      expect(await slow).to.equal('AbortError')
      expect((await health).status).to.equal(200)
      expect(performance.now() - begun).to.be.greaterThan(290)
      // The waiting reader may come before or after the deduction; afterwards the stars are gone.
      await other
      await until(async () => (await balance('CC1234567')) === 149900)
    })
  })

  describe('every answer', () => {
    it('has the decorative rate-limit headers, errors and health included', async () => {
      for (const path of ['/health', '/nowhere', '/api/v1/members/CC9/balance']) {
        const { headers } = await call('GET', path)
        expect(headers.get('x-ratelimit-limit')).to.equal('100')
        expect(headers.get('x-ratelimit-remaining')).to.equal('95')
        expect(Number(headers.get('x-ratelimit-reset')) - Date.now() / 1000).to.be.within(57, 61)
      }
    })

    it('is open to every origin with credentials', async () => {
      const { headers } = await call('GET', '/health', undefined, { origin: 'https://app.example' })
      expect(headers.get('access-control-allow-origin')).to.equal('*')
      expect(headers.get('access-control-allow-credentials')).to.equal('true')
      const preflight = await fetch(`${running.url}/api/v1/approvals/check`, {
        method: 'OPTIONS',
        headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
      })
      expect(preflight.status).to.equal(200)
      expect(preflight.headers.get('access-control-allow-origin')).to.equal('https://app.example')
    })

    it('to an unknown path is 404, to a wrong method 405', async () => {
      expect((await call('GET', '/nowhere')).body).to.deep.equal({ detail: 'Not Found' })
      const wrong = await call('GET', '/api/v1/approvals/check')
      expect([wrong.status, wrong.body]).to.deep.equal([405, { detail: 'Method Not Allowed' }])
    })
  })

  it('answers health without a key', async () => {
    const { body } = await call('GET', '/health', undefined, {})
    expect(body).to.include({ status: 'healthy', service: 'coffeechain-mock' })
    expect(body.timestamp).to.match(STAMP)
  })

  describe('the fault script', () => {
    it('can perform and then hang, within the bound', async () => {
      await restart({ hangSecondsMax: 0.2 })
      await script({ operation: 'deduct', times: 1, effect: 'perform', answer: 'hang' })
      expect(await failure(deduct('CC1234567', 10))).to.equal('failed')
      expect(await balance('CC1234567')).to.equal(149990)
      expect((await deduct('CC1234567', 10)).status).to.equal(200)
    })

    it('can skip and then hang or reset, and perform and then reset', async () => {
      await restart({ hangSecondsMax: 0.1 })
      await script(
        { operation: 'deduct', times: 1, effect: 'skip', answer: 'hang' },
        { operation: 'deduct', times: 1, effect: 'skip', answer: 'reset' },
      )
      expect(await failure(deduct('CC1234567', 10))).to.equal('failed')
      expect(await failure(deduct('CC1234567', 10))).to.equal('failed')
      expect(await balance('CC1234567')).to.equal(150000)
      await script({ operation: 'deduct', times: 1, effect: 'perform', answer: 'reset' })
      expect(await failure(deduct('CC1234567', 10))).to.equal('failed')
      expect(await balance('CC1234567')).to.equal(149990)
      const { calls, effects } = await counters()
      expect([calls.deduct, effects.deduct]).to.deep.equal([3, 1])
    })

    it('matches members, keeps the order of rules, and scripts status, code and headers', async () => {
      await script(
        { operation: 'deduct', match: { memberId: 'CC2222222' }, effect: 'skip', answer: { status: 503 } },
        {
          operation: 'deduct',
          times: 1,
          effect: 'skip',
          answer: { status: 429, code: 'slow_down', headers: { 'Retry-After': '2' } },
        },
      )
      expect((await deduct('CC2222222', 1)).status).to.equal(503)
      const limited = await deduct('CC1234567', 1)
      expect([limited.status, limited.headers.get('retry-after'), limited.body.detail.error]).to.deep.equal([
        429,
        '2',
        'slow_down',
      ])
      expect((await deduct('CC1234567', 1)).status).to.equal(200)
      expect((await deduct('CC2222222', 1)).status).to.equal(503)
      await call('DELETE', '/_sandbox/faults')
      expect((await deduct('CC2222222', 1)).status).to.equal(200)
    })

    it('can delay the effect past the caller giving up', async () => {
      await script({ operation: 'deduct', times: 1, effect: 'perform', effectDelayMs: 100 })
      const body = JSON.stringify({ amount: 10, reference_id: 'r', description: 'd' })
      const options = { method: 'POST', headers: KEY, body, signal: AbortSignal.timeout(30) }
      expect(await failure(fetch(`${running.url}/api/v1/members/CC1234567/deduct`, options))).to.equal('failed')
      expect(await balance('CC1234567')).to.equal(150000)
      await until(async () => (await balance('CC1234567')) === 149990)
    })

    it('refuses a rule that could never match, in one sentence', async () => {
      const misspelt = await script({ operation: 'deduckt', effect: 'perform' })
      expect(misspelt.status).to.equal(400)
      expect(misspelt.body.error).to.contain('rule 0: operation must be one of health, balance, deduct')
      expect((await script({ operation: 'deduct', effect: 'skip' })).body.error).to.contain('needs an answer')
      expect((await script({ operation: 'deduct', effect: 'perform', time: 1 })).body.error).to.contain('time')
    })

    it('ends its hangs when the server stops', async () => {
      await script({ operation: 'balance', effect: 'skip', answer: 'hang' })
      const hanging = failure(call('GET', '/api/v1/members/CC1234567/balance'))
      await until(async () => (await counters()).calls.balance === 1)
      await running.stop()
      expect(await hanging).to.equal('failed')
    })
  })

  it('shows members, transactions and calls, of one member when asked', async () => {
    await deduct('CC1234567', 10)
    await deduct('CC2222222', 20)
    const { body } = await call('GET', '/_sandbox/state?memberId=CC2222222')
    expect(body.members).to.deep.equal({ CC2222222: { balance: 44980, tier: 'silver', status: 'active' } })
    expect(body.transactions).to.have.lengthOf(1)
    expect(body.transactions[0]).to.include({ type: 'deduct', amount: 20, reference_id: 'r1' })
    const { calls } = (await call('GET', '/_sandbox/calls')).body
    expect(calls[1]).to.deep.include({ operation: 'deduct', answered: 200, faulted: false })
    await call('POST', '/_sandbox/reset')
    expect(await counters()).to.deep.equal({ calls: {}, effects: {} })
  })
})

async function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'answered',
    () => 'failed',
  )
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 2000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('condition not met within 2 s')
    // Gives the servers in this process a turn.
    await new Promise((resolve) => setImmediate(resolve))
  }
}
