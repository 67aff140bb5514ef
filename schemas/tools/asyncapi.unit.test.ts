/** The event log's document against the official AsyncAPI 3.0 schema. */
import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { expect } from 'chai'
import { eventCatalogues } from '../src/catalogue.ts'
import { topics } from '../src/topics.ts'
import { asyncApiDocument } from './asyncapi.ts'

interface Reference {
  $ref: string
}
interface Document {
  channels: Record<string, { messages: Record<string, Reference> }>
  operations: Record<string, { messages: Reference[] }>
  components: { messages: Record<string, { payload: { allOf: object[] } }> }
}

const document = asyncApiDocument() as unknown as Document // built by hand as JSON; its form is what is tested here

describe('the AsyncAPI document', () => {
  it('is valid by the AsyncAPI 3.0 schema', () => {
    const path = new URL(import.meta.resolve('@asyncapi/specs/schemas/3.0.0-without-$id.json'))
    const schema = JSON.parse(readFileSync(path, 'utf8'))
    const ajv = new Ajv({ strict: false, allErrors: true })
    addFormats.default(ajv)
    const isValid = ajv.compile(schema)
    expect(isValid(document), ajv.errorsText(isValid.errors)).to.equal(true)
  }).timeout(20_000)

  it('has one channel per topic and one message per event version', () => {
    expect(Object.keys(document.channels)).to.have.members(Object.values(topics))
    for (const [topic, catalogue] of Object.entries(eventCatalogues)) {
      const count = Object.values(catalogue).reduce((sum, { versions }) => sum + versions.length, 0)
      expect(Object.keys(document.channels[topic]?.messages ?? {})).to.have.length(count)
    }
    expect(Object.keys(document.channels['bookings.events.v1']?.messages ?? {})).to.include.members([
      'bookings.BookingConfirmed.v1',
      'bookings.BookingConfirmed.v2',
    ])
  })

  it('points only at what it contains', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? '')
    expect(refs).to.have.length.greaterThan(0)
    for (const ref of refs) expect(lookUp(ref), ref).to.be.an('object')
  })
})

function lookUp(ref: string): unknown {
  const steps = ref.replace('#/', '').split('/')
  return steps.reduce<unknown>((node, step) => (node as Record<string, unknown>)[step], document)
}
