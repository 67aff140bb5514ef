/**
 * P14: every event version ever published still loads. Golden samples stand for what lies in logs: one per version, never edited,
 * valid by the committed JSON Schema and liftable to the current version by the code.
 *
 * Seen failing: without the upcaster of BookingConfirmed ("lacks an upcaster"); with a required member added to version 1 of
 * PaymentDeducted (the schema comparison and the sample's load); with the sample of BookingConfirmed v1 deleted.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { expect } from 'chai'
import { eventCatalogues } from './catalogue.ts'
import { currentVersion, upcastEvent, validateEvent } from './event-catalogue.ts'
import type { TopicName } from './topics.ts'

const folder = new URL('../', import.meta.url)
const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true })
addFormats.default(ajv)

const versions = Object.entries(eventCatalogues).flatMap(([topic, catalogue]) =>
  Object.entries(catalogue).flatMap(([type, { versions }]) =>
    versions.map((_, index) => ({ topic: topic as TopicName, type, version: index + 1 })),
  ),
)

describe('event versions', () => {
  for (const { topic, type, version } of versions) {
    const path = `${topic}/${type}.v${version}.json`
    const catalogue = eventCatalogues[topic]

    it(`${type} version ${version} of ${topic} has a sample that fits its schema and loads`, () => {
      const schema = readJson(`json/${path}`) as object
      const sample = readJson(`samples/${path}`)
      const isValid = ajv.compile(schema)
      expect(isValid(sample), ajv.errorsText(isValid.errors)).to.equal(true)
      const lifted = upcastEvent(catalogue, type, version, sample)
      expect(validateEvent(catalogue, type, lifted)).to.deep.equal(lifted)
    })

    it(`the sample of ${type} version ${version} of ${topic} loses nothing when it is read`, () => {
      const sample = readJson(`samples/${path}`)
      const stored = catalogue[type]?.versions[version - 1]?.schema.parse(sample)
      expect(stored).to.deep.equal(sample)
    })
  }

  it('have no sample without a version', () => {
    const samples = readdirSync(new URL('samples/', folder), { recursive: true, encoding: 'utf8' })
    const known = versions.map(({ topic, type, version }) => `${topic}/${type}.v${version}.json`)
    expect(samples.filter((path) => path.endsWith('.json'))).to.have.members(known)
  })

  it('BookingConfirmed of version 1 is lifted to tickets per passenger without seats', () => {
    const topic = 'bookings.events.v1'
    const sample = readJson(`samples/${topic}/BookingConfirmed.v1.json`)
    expect(currentVersion(eventCatalogues[topic], 'BookingConfirmed')).to.equal(2)
    expect(upcastEvent(eventCatalogues[topic], 'BookingConfirmed', 1, sample)).to.deep.include({
      tickets: [
        { passengerIndex: 0, ticketNumber: '0162345678901', seat: null },
        { passengerIndex: 1, ticketNumber: '0162345678902', seat: null },
      ],
    })
  })

  it('a version from the future is refused', () => {
    expect(() => upcastEvent(eventCatalogues['bookings.events.v1'], 'BookingApproved', 2, {})).to.throw('no version 2')
  })

  it('an unknown event is refused, also one named like a member of every object', () => {
    for (const type of ['BookingVanished', 'constructor'])
      expect(() => upcastEvent(eventCatalogues['bookings.events.v1'], type, 1, {})).to.throw('in no catalogue')
  })
})

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, folder), 'utf8'))
}
