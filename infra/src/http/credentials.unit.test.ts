// Sabotage seen to fail: keeping answers fresh for two seconds; serving refusals stale.
import { Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import { type ServiceClient, ServiceFault } from './client.ts'
import { createIntrospection, type IntrospectionAnswer } from './credentials.ts'

const request = { kind: 'member', tenantId: 'coffeechain', headers: { 'x-cc-api-key': 'k' } } as const
const member: IntrospectionAnswer = {
  kind: 'member',
  tenantId: 'coffeechain',
  memberId: 'CC1234567',
  principal: 'member:CC1234567',
  tenant: { limits: { requestsPerMinute: 100 }, name: 'CoffeeChain' },
}
const refused: IntrospectionAnswer = { kind: 'refused', code: 'unauthorized', detail: 'No', members: {} }
const away = new ServiceFault('unreachable', 'away')

describe('introspection through the cache', () => {
  let time: number
  let asked: number
  let answer: IntrospectionAnswer | Error
  const client: ServiceClient = {
    get: async () => undefined,
    post: async () => {
      asked += 1
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const create = () => createIntrospection({ client, now: () => time })

  beforeEach(() => {
    time = 0
    asked = 0
    answer = member
  })

  it('asks once for callers who come together, and again for another credential', async () => {
    const introspect = create()
    const answers = await Promise.all([introspect(request, 'c'), introspect(request, 'c')])
    expect(answers).to.deep.equal([member, member])
    expect(asked).to.equal(1)
    await introspect({ ...request, headers: { 'x-cc-api-key': 'other' } }, 'c')
    expect(asked).to.equal(2)
  })

  it('notices a revocation within a second', async () => {
    const introspect = create()
    await introspect(request, 'c')
    answer = refused
    time = 999
    expect(await introspect(request, 'c')).to.deep.equal(member)
    time = 1000
    expect(await introspect(request, 'c')).to.deep.equal(refused)
  })

  it('vouches for known callers for a minute while command-api is away, and no longer', async () => {
    const introspect = create()
    await introspect(request, 'c')
    answer = away
    time = 59_999
    expect(await introspect(request, 'c')).to.deep.equal(member)
    time = 60_000
    expect(await introspect(request, 'c').catch((error) => error)).to.equal(away)
  })

  it('vouches for nobody it does not know, and keeps no refusal, while command-api is away', async () => {
    const introspect = create()
    answer = refused
    await introspect(request, 'c')
    answer = away
    time = 2000
    expect(await introspect(request, 'c').catch((error) => error)).to.equal(away)
  })

  it('takes a refusal of its own question for a fault, not for an answer about the caller', async () => {
    answer = new Rejection('validation-error', 'kind: Is required')
    expect(await create()(request, 'c').catch((error) => error)).to.be.instanceOf(ServiceFault)
  })

  it('refuses an answer it does not understand', async () => {
    answer = { kind: 'member' } as unknown as IntrospectionAnswer // what a newer or broken command-api might send
    expect(await create()(request, 'c').catch((error) => error)).to.have.property('name', 'ZodError')
  })
})
