/**
 * docker-compose.yml against the Compose specification (compose-spec.json, a copy as Docker Compose ships it,
 * Apache-2.0), and against what the launcher believes about it.
 *
 * Sabotage this was shown to catch: `healthchek:`, a port of 25433, and an image without a version.
 */
import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { expect } from 'chai'
import { parse } from 'yaml'
import { COMPOSE_URLS, refusalOf } from './compose.ts'

type ComposeFile = {
  services: Record<string, { image: string; ports: string[]; healthcheck: object; volumes: string[] }>
}

const readText = (relative: string) => readFileSync(new URL(relative, import.meta.url), 'utf8')
const compose = parse(readText('../../docker-compose.yml')) as ComposeFile

describe('docker-compose.yml', () => {
  it('fits the Compose specification', () => {
    // The schema marks its parts with draft 4's `id`, which later drafts ignore and ajv refuses.
    const schema = JSON.parse(readText('compose-spec.json'), (key, value) =>
      (key === 'id' && typeof value === 'string') || key === '$schema' ? undefined : value,
    )
    const validate = new Ajv({
      strict: false,
      allErrors: true,
      formats: { ports: true, expose: true, duration: true, subnet_ip_address: true },
    }).compile(schema)
    validate(compose)
    expect(validate.errors ?? []).to.deep.equal([])
    expect(validate({ services: { redis: { healthchek: {} } } }), 'the schema refuses nothing').to.equal(false)
  })

  it('offers each service at the address where the launcher looks for it, and to this machine only', () => {
    for (const [name, address] of Object.entries(COMPOSE_URLS)) {
      const port = /:(\d+)(\/|$)/.exec(address)?.[1]
      const ports = compose.services[name]?.ports ?? []
      expect(
        ports.some((mapping) => mapping.startsWith(`127.0.0.1:${port}:`)),
        `${name} on ${port}`,
      ).to.equal(true)
      expect(
        ports.every((mapping) => mapping.startsWith('127.0.0.1:')),
        name,
      ).to.equal(true)
    }
  })

  it('has ports that containers of a former release may hold, and says how they are stopped', () => {
    const stderr = 'Bind for 127.0.0.1:25432 failed: port is already allocated'
    expect(refusalOf({ stderr, message: '' }))
      .to.include(stderr)
      .and.include('docker compose -p portolan stop')
    expect(refusalOf({ message: 'no such image' }))
      .to.include('(no such image)')
      .and.not.include('stop')
  })

  it('pins every image, checks its health and keeps its data', () => {
    for (const [name, { image, healthcheck, volumes }] of Object.entries(compose.services)) {
      expect(image, name).to.match(/:\d+\.\d+/)
      expect(healthcheck, name).to.be.an('object')
      expect(volumes, name).to.have.length(1)
    }
    expect(compose.services.kafka?.image).to.match(/^apache\/kafka:4\./)
    expect(compose.services.postgres?.image).to.match(/^postgres:17\./)
    expect(compose.services.redis?.image).to.match(/^redis:[78]\./)
  })
})
