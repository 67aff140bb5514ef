// Part of promises P12 and P15. Sabotages seen to fail: going on with the own new key after another command made the person's key first
// (what was sealed with it could never be opened); sealing without `use_personal_key`; a forget that shares its group with a command
// that seals; opening without asking whether the topic is verified.
import { randomBytes } from 'node:crypto'
import { requireService } from '@portolan/infra/http/service-auth.ts'
import { withTenant } from '@portolan/infra/postgres.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { createRecordingLogger } from '@portolan/infra/testing/recording-logger.ts'
import { startTestApp, type TestApp } from '@portolan/infra/testing/test-app.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { bookingStream, memberAccountStream } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { recordForgets } from '../bookings/record-forgets.ts'
import type { Effect } from '../event-store/append.ts'
import { added, contextOf, counterType, createStoreFixture } from '../event-store/store-fixture.ts'
import { parseKeyRing } from './key-ring.ts'
import { startKeyRotation } from './key-rotation.ts'
import { createPersonalKeys, type KeyForCommand, type PersonalKeys } from './personal-keys.ts'
import { createPersonalDataRoutes } from './routes.ts'
import { seal, unwrapKey } from './sealing.ts'

const TOKEN = 'a-service-token-of-tests'
const listed = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
const oldKey = listed('old')
const newKey = listed('new')
const ringOf = (...entries: string[]) => parseKeyRing('PERSONAL_DATA_KEYS', entries.join(','))

describe('keys of persons', () => {
  let fixture: Awaited<ReturnType<typeof createStoreFixture>>
  let store: Awaited<ReturnType<typeof fixture.open>>
  let keys: PersonalKeys
  let person: string
  let persons = 0

  before(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open()
    keys = createPersonalKeys({ pool: store.pool, ring: ringOf(oldKey) })
    await verify()
  })
  beforeEach(() => {
    person = `CC${1_000_000 + persons++}`
  })
  after(() => fixture.close())

  /** A stream whose step belongs to a booking of the person. */
  const steppedType = (bookingId: string): typeof counterType => ({
    ...counterType,
    next: (counter) =>
      (counterType.next?.(counter) ?? []).map((step) => ({ ...step, input: { bookingId, memberId: person } })),
  })

  /** What the relay does once it has compared the log with Kafka. */
  const verify = () =>
    fixture.admin.query(`
      insert into log_verifications select topic, partition, log_incarnation() from log_heads
      on conflict (topic, partition) do update set incarnation = excluded.incarnation`)

  /** A command that does nothing but run effects beside one event. */
  const command = (effects: Effect[], stream = bookingStream(randomBytes(4).toString('hex'))) =>
    store.handle({
      context: contextOf(),
      streams: { counter: { type: counterType, stream, isNew: true } },
      decide: () => ({ events: { counter: [added()] }, effects }),
    })
  const sealFor = (tenantId: string, personId: string, value: unknown) =>
    keys.withKey(tenantId, personId, async ({ key, effects }) => {
      if (tenantId === 'harbour') await command(effects)
      return seal(key, value)
    })
  const keysOf = async (personId: string) =>
    (await fixture.admin.query('select * from personal_keys where person_id = $1', [personId])).rows
  const forgetEffect = async (personId: string): Promise<Effect> => ({
    name: 'forget_person',
    args: {
      personId,
      keyId: await keys.findKeyId('harbour', personId),
      reason: 'requested-by-member',
      by: 'staff:stf_1',
      at: new Date().toISOString(),
    },
    alone: true,
  })
  const forget = async (personId: string) => command([await forgetEffect(personId)])

  it('are made with the first command that seals, and used by the next', async () => {
    const first = await keys.forCommand('harbour', person)
    expect(first.effects).to.have.length(1)
    expect(await keysOf(person)).to.have.length(0)
    await command(first.effects)
    const next = await keys.forCommand('harbour', person)
    expect(next.effects.map(({ name }) => name)).to.deep.equal(['use_personal_key'])
    expect(next.key).to.deep.equal(first.key)
  })

  it('are stored wrapped only', async () => {
    const { key, effects } = await keys.forCommand('harbour', person)
    await command(effects)
    const [row] = await keysOf(person)
    expect(row.wrapped_key.includes(key.key)).to.equal(false)
    expect(row.kek_id).to.equal('old')
  })

  it('are not made by a command that is refused', async () => {
    const { effects } = await keys.forCommand('harbour', person)
    const refusal = await store
      .handle({
        context: contextOf(),
        streams: { counter: { type: counterType, stream: bookingStream('refused'), isNew: true } },
        decide: () => ({
          events: { counter: [added()] },
          effects: [...effects, { name: 'claim_offer', args: { flightId: 'none', memberId: person, bookingId: 'b' } }],
        }),
      })
      .catch((error) => error)
    expect(refusal).to.be.instanceOf(Rejection)
    expect(await keysOf(person)).to.have.length(0)
  })

  it('are one per person, however many commands make theirs at once', async () => {
    const sealed = await Promise.all(Array.from({ length: 10 }, (_, index) => sealFor('harbour', person, { index })))
    expect(await keysOf(person)).to.have.length(1)
    const opened = await keys.unsealAll(
      'harbour',
      sealed.map((text) => ({ personId: person, sealed: text })),
    )
    expect(opened).to.deep.equal(Array.from({ length: 10 }, (_, index) => ({ value: { index } })))
  })

  it('open nothing once they are deleted, also after the person got a new one', async () => {
    const before = await sealFor('harbour', person, 'before')
    await forget(person)
    expect(await keys.unsealAll('harbour', [{ personId: person, sealed: before }])).to.deep.equal([{ gone: true }])
    const after = await sealFor('harbour', person, 'after')
    const items = [before, after].map((sealed) => ({ personId: person, sealed }))
    expect(await keys.unsealAll('harbour', items)).to.deep.equal([{ gone: true }, { value: 'after' }])
  })

  it('leave a tombstone when they are forgotten, and nothing else', async () => {
    await sealFor('harbour', person, 'x')
    const keyId = await keys.findKeyId('harbour', person)
    expect(await keys.lastForgottenAt('harbour', person)).to.equal(null)
    await forget(person)
    expect(await keysOf(person)).to.have.length(0)
    const { rows } = await fixture.admin.query('select key_id from forgotten_keys where person_id = $1', [person])
    expect(rows).to.deep.equal([{ key_id: keyId }])
    expect(await keys.lastForgottenAt('harbour', person)).to.be.a('string')
    expect(await keys.lastForgottenAt('teahouse', person)).to.equal(null)
  })

  it('that were forgotten after a command took them seal nothing any more: the command goes on with a new one', async () => {
    await sealFor('harbour', person, 'first')
    let tries = 0
    const sealed = await keys.withKey('harbour', person, async ({ key, effects }) => {
      if (tries++ === 0) await forget(person)
      await command(effects)
      return seal(key, 'second')
    })
    expect(tries).to.equal(2)
    expect(await keys.unsealAll('harbour', [{ personId: person, sealed }])).to.deep.equal([{ value: 'second' }])
  })

  describe('of somebody with a booking', () => {
    const requestBooking = (bookingId: string, effects: Effect[]) =>
      store.handle({
        context: contextOf(),
        streams: { booking: { type: steppedType(bookingId), stream: bookingStream(bookingId), isNew: true } },
        decide: () => ({
          events: { booking: [{ type: 'WorkWanted' as const, data: { step: 'deduct', attempt: 1 } }] },
          effects,
        }),
      })
    const expectRefused = (refusal: unknown, bookingId: string) => {
      expect(refusal).to.be.instanceOf(Rejection).with.property('code', 'not-forgettable')
      expect((refusal as Rejection).members).to.deep.equal({ bookingIds: [bookingId] })
    }
    let key: KeyForCommand
    beforeEach(async () => {
      await sealFor('harbour', person, 'x')
      key = await keys.forCommand('harbour', person)
    })

    it('stay while it is open', async () => {
      await requestBooking('bkg_open', key.effects)
      expectRefused(await forget(person).catch((error) => error), 'bkg_open')
      expect(await keys.findKeyId('harbour', person)).to.equal(key.key.keyId)
      expect(await keys.lastForgottenAt('harbour', person)).to.equal(null)
    })

    it('stay when the booking is being committed by another process', async () => {
      const other = await fixture.admin.connect()
      await other.query('begin')
      await other.query('select from log_heads for update') // the booking's events wait here, its hold on the key is taken
      const requesting = requestBooking('bkg_slow', key.effects)
      await eventually(async () => {
        const { rowCount } = await fixture.admin.query(
          "select from pg_locks where not granted and locktype = 'transactionid'",
        )
        expect(rowCount).to.be.greaterThan(0)
      })
      const forgetting = forget(person).catch((error) => error)
      await new Promise((resolve) => setTimeout(resolve, 250)) // longer than one try waits for the key
      await other.query('rollback')
      other.release()
      await requesting
      expectRefused(await forgetting, 'bkg_slow')
    })

    it('are never forgotten by a command of the same group', async () => {
      const forgetting = await forgetEffect(person)
      const outcomes = await Promise.allSettled([
        requestBooking('bkg_group', key.effects),
        command([forgetting], bookingStream('z-comes-after')),
      ])
      expect(outcomes.map(({ status }) => status).sort()).to.deep.equal(['fulfilled', 'rejected'])
    })
  })

  it('come back with a backup and go again when Kafka knows better, except what was made since', async () => {
    const before = await sealFor('harbour', person, 'before')
    const [row] = await keysOf(person)
    const keyId = String(await keys.findKeyId('harbour', person))
    await forget(person)
    const at = new Date().toISOString()
    const data = { personId: person, keyId, reason: 'legal-order', reference: null, by: 'staff:stf_1', at }
    /** As the relay finds it in Kafka, and what it calls then. */
    const reapply = async () => {
      await store.pool.query(
        `insert into lost_events (generation, topic, partition, position, event_id, tenant_id, stream, type, envelope)
         select 1, 'members.events.v1', 0, n, $1, 'harbour', 's', type, $2
         from unnest(array['MovementVoided', 'PersonForgotten']) with ordinality t(type, n) on conflict do nothing`,
        [person, { data }],
      )
      return (await store.pool.query('select reapply_lost_forgets() as keys')).rows[0].keys
    }
    await fixture.admin.query('delete from forgotten_keys where person_id = $1', [person])
    await fixture.admin.query('insert into personal_keys select * from json_populate_record(null::personal_keys, $1)', [
      JSON.stringify({ ...row, wrapped_key: `\\x${row.wrapped_key.toString('hex')}` }),
    ])
    const opened = () => keys.unsealAll('harbour', [{ personId: person, sealed: before }])
    expect(await opened(), 'restored').to.deep.equal([{ value: 'before' }])
    expect(await reapply()).to.equal(1)
    expect(await opened()).to.deep.equal([{ gone: true }])
    expect(await keys.lastForgottenAt('harbour', person)).to.equal(at)
    const deps = { pool: store.pool, store }
    expect([await recordForgets(deps), await recordForgets(deps)], 'their events are recorded once').to.deep.equal([
      1, 0,
    ])
    const { rows } = await fixture.admin.query('select type, data from events where stream = $1', [
      memberAccountStream(person),
    ])
    expect(rows).to.deep.equal([{ type: 'PersonForgotten', data }])
    const after = await sealFor('harbour', person, 'after')
    expect(await reapply()).to.equal(0)
    expect(await keys.unsealAll('harbour', [{ personId: person, sealed: after }])).to.deep.equal([{ value: 'after' }])
  })

  it('neither seal nor open while the log was not compared with Kafka since the database started', async () => {
    const sealed = await sealFor('harbour', person, 'x')
    await fixture.admin.query("update log_verifications set incarnation = 'an earlier start' where partition = 0")
    try {
      for (const use of [keys.unsealAll('harbour', [{ personId: person, sealed }]), keys.forCommand('harbour', person)])
        expect(await use.catch((error: unknown) => error)).to.have.property('code', 'unavailable')
      await forget(person) // takes nothing but the key
    } finally {
      await verify()
    }
  })

  it('in an old backup are of no use once the key of the environment that wrapped them is gone', async () => {
    await sealFor('harbour', person, 'x')
    const [row] = await keysOf(person)
    const wrapped = { tenantId: 'harbour', personId: person, keyId: row.key_id, wrapped: row.wrapped_key, kekId: 'old' }
    expect(unwrapKey(ringOf(newKey, oldKey), wrapped).keyId).to.equal(row.key_id)
    expect(() => unwrapKey(ringOf(newKey), wrapped)).to.throw('lacks key old')
    expect(() => unwrapKey(ringOf(newKey), { ...wrapped, kekId: 'new' })).to.throw()
  })

  it('do not exist for another tenant, even under the same person id', async () => {
    const sealed = await sealFor('harbour', person, 'ours')
    expect(await keys.unsealAll('teahouse', [{ personId: person, sealed }])).to.deep.equal([{ gone: true }])
    expect((await keys.forCommand('teahouse', person)).effects).to.have.length(1)
  })

  it('are hidden by the database from whoever works for another tenant or for none, and cannot be deleted in passing', async () => {
    await sealFor('harbour', person, 'ours')
    const all = { text: 'select * from personal_keys' }
    expect((await store.pool.query(all.text)).rowCount).to.equal(0)
    expect((await withTenant(store.pool, 'teahouse', [all]))[0]?.rowCount).to.equal(0)
    for (const text of ['delete from personal_keys', "update personal_keys set kek_id = 'x'"]) {
      const failure = await withTenant(store.pool, 'harbour', [{ text }]).catch((error) => error)
      expect(failure).to.have.property('code', '42501')
    }
  })

  it('move to a new key of the environment, after which the old one can go', async () => {
    const sealed = await sealFor('harbour', person, 'kept')
    const rotated = createPersonalKeys({ pool: store.pool, ring: ringOf(newKey, oldKey) })
    expect(await rotated.rewrapBatch()).to.be.greaterThan(0)
    expect(await rotated.rewrapBatch()).to.equal(0)
    const withoutOld = createPersonalKeys({ pool: store.pool, ring: ringOf(newKey) })
    expect(await withoutOld.unsealAll('harbour', [{ personId: person, sealed }])).to.deep.equal([{ value: 'kept' }])
    await createPersonalKeys({ pool: store.pool, ring: ringOf(oldKey, newKey) }).rewrapBatch() // as the other tests expect it
  })

  it('are moved by a process that starts with a new key, until none is left', async () => {
    for (let n = 0; n < 3; n++) await sealFor('harbour', `${person}-${n}`, 'kept')
    const logger = createRecordingLogger()
    const rotation = startKeyRotation(createPersonalKeys({ pool: store.pool, ring: ringOf(newKey, oldKey) }), logger)
    const left = async () =>
      (await fixture.admin.query("select count(*)::integer as keys from personal_keys where kek_id <> 'new'")).rows[0]
        .keys
    try {
      await eventually(async () => expect(await left()).to.equal(0))
    } finally {
      await rotation.stop()
    }
    expect(logger.lines.map(({ message }) => message)).to.deep.equal(['personal keys rewrapped'])
    await createPersonalKeys({ pool: store.pool, ring: ringOf(oldKey, newKey) }).rewrapBatch() // as the other tests expect it
  })

  it('that were forgotten while the environment key changed do not come back', async () => {
    await sealFor('harbour', person, 'x')
    const [row] = await keysOf(person)
    await forget(person)
    const { rows } = await store.pool.query('select rewrap_personal_key($1, $2, $3, $4, $5) as moved', [
      'harbour',
      person,
      row.key_id,
      row.wrapped_key,
      'new',
    ])
    expect(rows).to.deep.equal([{ moved: false }])
    expect(await keysOf(person)).to.have.length(0)
  })

  describe('behind POST /internal/unseal', () => {
    let app: TestApp
    const post = (body: unknown, token = TOKEN) =>
      app.fetch('/internal/unseal', { body, headers: { authorization: `Bearer ${token}` } })

    before(async () => {
      app = await startTestApp((routes) => {
        routes.use('/internal', requireService(TOKEN))
        routes.use(createPersonalDataRoutes(keys))
      })
    })
    after(() => app.stop())

    it('open a batch in order', async () => {
      const sealed = await sealFor('harbour', person, { firstName: 'Jane' })
      const response = await post({
        tenantId: 'harbour',
        items: [
          { personId: 'nobody', sealed },
          { personId: person, sealed },
        ],
      })
      expect(response.status).to.equal(200)
      expect(await response.json()).to.deep.equal({ items: [{ gone: true }, { value: { firstName: 'Jane' } }] })
    })

    it('open nothing without the service token', async () => {
      expect((await post({ tenantId: 'harbour', items: [] }, 'wrong')).status).to.equal(401)
      expect((await app.fetch('/internal/unseal', { body: {} })).status).to.equal(401)
    })

    it('open nothing for a malformed or oversized batch', async () => {
      const item = { personId: 'p', sealed: 'v1.a.b.c.d' }
      for (const body of [
        {},
        { tenantId: 'harbour', items: [] },
        { tenantId: 'harbour', items: Array(101).fill(item) },
      ]) {
        expect((await post(body)).status).to.equal(400)
      }
    })

    it('report an altered value as a fault, not as a forget', async () => {
      const sealed = await sealFor('harbour', person, 'x')
      const altered = sealed.slice(0, -2) + (sealed.endsWith('AA') ? 'BB' : 'AA')
      const response = await post({ tenantId: 'harbour', items: [{ personId: person, sealed: altered }] })
      expect(response.status).to.equal(500)
      expect(JSON.stringify(app.lines)).to.not.include(altered)
    })
  })
})
