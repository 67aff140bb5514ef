/**
 * The order in which a service is looked for. Sabotage this was shown to catch: the standard port before the
 * environment, and using what listens there without its check.
 */

import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { expect } from 'chai'
import { findService, type Recipe, topicPrefixOf, withoutPassword } from './backing-services.ts'
import { Obstacle } from './say.ts'

const own = { url: 'test://own', pid: 1, isNew: true, release: async () => {} }

describe('a backing service', () => {
  let listener: Server
  let recipe: Recipe
  let checked: string[]

  beforeEach(async () => {
    listener = createServer()
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    checked = []
    recipe = {
      title: 'Postgres',
      variable: 'DATABASE_URL',
      localUrl: 'test://local',
      localPort: (listener.address() as AddressInfo).port,
      check: async (url) => {
        checked.push(url)
      },
      startOwn: async () => own,
    }
  })
  afterEach(() => {
    listener.close()
  })

  const refuse: Recipe['check'] = async (_url, name) => {
    throw new Obstacle(`${name} is too old.`)
  }

  it('is what the environment names, before anything else', async () => {
    const circumstances = { env: { DATABASE_URL: 'test://given' }, user: 1, composeUrl: 'test://compose' }
    expect(await findService(recipe, circumstances)).to.deep.equal({ url: 'test://given', source: 'environment' })
    expect(checked).to.deep.equal(['test://given'])
  })

  it('must pass its check when the environment names it; nothing else is tried', async () => {
    const outcome = await findService(
      { ...recipe, check: refuse },
      { env: { DATABASE_URL: 'test://me:secret@given' }, user: 1 },
    ).catch((error: Error) => error)
    expect(outcome).to.be.instanceOf(Obstacle)
    expect((outcome as Error).message).to.equal('The Postgres of DATABASE_URL (test://me@given) is too old.')
  })

  it('is Docker’s where an engine answers, before what listens locally', async () => {
    expect(await findService(recipe, { env: {}, user: 1, composeUrl: 'test://compose' })).to.deep.equal({
      url: 'test://compose',
      source: 'compose',
    })
  })

  it('is what listens on the standard port and passes its check', async () => {
    expect(await findService(recipe, { env: {}, user: 1 })).to.deep.equal({ url: 'test://local', source: 'local' })
  })

  it('is our own when what listens there fails its check, or nothing does', async () => {
    expect((await findService({ ...recipe, check: refuse }, { env: {}, user: 1 })).source).to.equal('own')
    await new Promise((resolve) => listener.close(resolve))
    expect((await findService(recipe, { env: {}, user: 1 })).source).to.equal('own')
  })

  it('is named without its password', () => {
    expect(withoutPassword('postgres://me:se:cret@host:5432/x')).to.equal('postgres://me@host:5432/x')
    expect(withoutPassword('redis://:secret@host:6379')).to.equal('redis://@host:6379')
    expect(withoutPassword('127.0.0.1:9092,127.0.0.2:9092')).to.equal('127.0.0.1:9092,127.0.0.2:9092')
  })
})

describe('our topics', () => {
  const at = (source: 'environment' | 'local') => ({ kafka: { url: 'test', source } })
  it('carry our name on a Kafka that was found locally, and what the environment says before that', () => {
    expect(topicPrefixOf(at('local'), {})).to.equal('portolan.')
    expect(topicPrefixOf(at('environment'), {})).to.equal('')
    expect(topicPrefixOf(at('local'), { KAFKA_TOPIC_PREFIX: 'mine.' })).to.equal('mine.')
  })
})
