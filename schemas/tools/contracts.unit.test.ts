/**
 * P14: a published event version cannot be changed by accident.
 * Seen failing: with `refusals` returning [] (every refusal below), and with `incompatibilities` ignoring required members.
 */
import { expect } from 'chai'
import { z } from 'zod'
import { type EventDefinition, event, eventV2 } from '../src/event-catalogue.ts'
import { generatedFiles, refusals, unloadableSamples } from './contracts.ts'
import { eventVersionSchemas } from './event-schemas.ts'

const v1 = z.object({ orderId: z.string(), ticketNumbers: z.array(z.string()) })
const v2 = z.object({ orderId: z.string(), tickets: z.array(z.object({ ticketNumber: z.string() })) })
const lift = (data: z.infer<typeof v1>) => ({
  orderId: data.orderId,
  tickets: data.ticketNumbers.map((ticketNumber) => ({ ticketNumber })),
})

const path = 'bookings.events.v1/Confirmed.v1.json'
const versionsOf = (definition: EventDefinition) =>
  eventVersionSchemas({ 'bookings.events.v1': { Confirmed: definition } })

describe('a published version 1 of an event', () => {
  const published = new Map([[path, generatedFiles(versionsOf(event(v1))).get(path) ?? '']])

  it('may be generated again unchanged', () => {
    expect(refusals(published, versionsOf(event(v1)))).to.deep.equal([])
  })

  it('may get an optional member', () => {
    const grown = v1.extend({ note: z.string().optional() })
    expect(refusals(published, versionsOf(event(grown)))).to.deep.equal([])
  })

  it('may be followed by a version 2 in a file of its own, its own file staying as it was', () => {
    const versions = versionsOf(eventV2(v1, v2, lift))
    expect(refusals(published, versions)).to.deep.equal([])
    const files = generatedFiles(versions)
    expect(files.get(path)).to.equal(published.get(path))
    expect([...files.keys()]).to.include('bookings.events.v1/Confirmed.v2.json')
  })

  it('is refused the shape of a version 2 in its place, naming event, version and path', () => {
    expect(refusals(published, versionsOf(event(v2)))).to.deep.equal([
      'Confirmed version 1 (bookings.events.v1) changed incompatibly at ticketNumbers: the field was removed.',
      'Confirmed version 1 (bookings.events.v1) changed incompatibly at tickets: a required field was added.',
    ])
  })

  it('may not disappear', () => {
    expect(refusals(published, [])).to.deep.equal([
      'Confirmed version 1 (bookings.events.v1) was published and is gone: every published version must stay loadable.',
    ])
  })
})

describe('a published sample', () => {
  const sample = new Map([[path, JSON.stringify({ orderId: 'ord_1', ticketNumbers: ['0162345678901'] })]])
  const unloadable = (definition: EventDefinition) =>
    unloadableSamples(sample, { 'bookings.events.v1': { Confirmed: definition } })

  it('loads through every version that follows', () => {
    expect(unloadable(event(v1))).to.deep.equal([])
    expect(unloadable(eventV2(v1, v2, lift))).to.deep.equal([])
  })

  it('that fits no longer is named, and so is one without its upcaster or its event', () => {
    const start = 'The published sample of Confirmed version 1 (bookings.events.v1) no longer loads'
    expect(unloadable(event(v2))[0]).to.include(`${start} (tickets: `)
    expect(unloadable({ versions: [{ schema: v1 }, { schema: v2 }] })).to.deep.equal([
      `${start} (event Confirmed lacks an upcaster).`,
    ])
    expect(unloadableSamples(sample, {})).to.deep.equal([`${start} (event type Confirmed is in no catalogue).`])
  })
})
