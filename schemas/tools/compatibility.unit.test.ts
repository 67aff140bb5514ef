import { expect } from 'chai'
import { z } from 'zod'
import { jsonSchemaOf } from '../src/json-schema.ts'
import { incompatibilities } from './compatibility.ts'

const published = {
  id: z.string().min(2).max(20),
  amount: z.int().min(1),
  state: z.enum(['held', 'paid']),
  at: z.iso.datetime(),
  note: z.string().optional(),
  flight: z.object({ number: z.string(), terminal: z.string().nullable() }),
  tickets: z.array(z.object({ seat: z.string() })),
  result: z.record(z.string(), z.string()),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('done') }),
    z.object({ kind: z.literal('refused'), code: z.string() }),
  ]),
}

/** Problems of the published object with `changes` laid over it. */
function problemsOf(changes: z.core.$ZodShape, without: keyof typeof published | '' = ''): string[] {
  const shape: Record<string, z.core.SomeType> = { ...published, ...changes }
  delete shape[without]
  return incompatibilities(jsonSchemaOf(z.object(published)), jsonSchemaOf(z.object(shape)))
}

describe('a published event version', () => {
  it('is compatible with itself', () => {
    expect(problemsOf({})).to.deep.equal([])
  })

  describe('may', () => {
    const allowed: Record<string, z.core.$ZodShape> = {
      'gain an optional field': { extra: z.string().optional() },
      'gain an optional field in a nested object': {
        flight: published.flight.extend({ gate: z.string().optional() }),
      },
      'gain an enum value': { state: z.enum(['held', 'paid', 'refunded']) },
      'gain an alternative': {
        outcome: z.discriminatedUnion('kind', [
          z.object({ kind: z.literal('done') }),
          z.object({ kind: z.literal('unknown') }),
          z.object({ kind: z.literal('refused'), code: z.string() }),
        ]),
      },
      'have its bounds widened': { id: z.string().min(1).max(40), amount: z.int().min(0) },
      'lose a bound': { id: z.string() },
      'lose a format': { at: z.string() },
      'have its words changed': { id: published.id.meta({ description: 'another description' }) },
    }
    for (const [title, changes] of Object.entries(allowed))
      it(title, () => expect(problemsOf(changes)).to.deep.equal([]))
  })

  describe('may not', () => {
    it('lose a field', () => expect(problemsOf({}, 'amount')).to.deep.equal(['amount: the field was removed']))

    it('lose an optional field', () => expect(problemsOf({}, 'note')).to.deep.equal(['note: the field was removed']))

    const refused: Record<string, [z.core.$ZodShape, string]> = {
      'gain a required field': [{ extra: z.string() }, 'extra: a required field was added'],
      'gain a required field in a nested object': [
        { flight: published.flight.extend({ gate: z.string() }) },
        'flight.gate: a required field was added',
      ],
      'gain a required field in an array': [
        { tickets: z.array(z.object({ seat: z.string(), row: z.int() })) },
        'tickets[].row: a required field was added',
      ],
      'make an optional field required': [{ note: z.string() }, 'note: the field was optional and is now required'],
      'make a required field optional': [
        { amount: published.amount.optional() },
        'amount: the field was required and is now optional',
      ],
      'change a type': [{ amount: z.string() }, 'amount: the type was changed from integer to string'],
      'change an integer to a number': [
        { amount: z.number().min(1) },
        'amount: the type was changed from integer to number',
      ],
      'become null': [{ amount: published.amount.nullable() }, 'amount: the type was changed'],
      'stop being null': [
        { flight: z.object({ number: z.string(), terminal: z.string() }) },
        'flight.terminal: the type was changed from null | string to string',
      ],
      'lose an enum value': [{ state: z.enum(['held']) }, 'state: the value "paid" was removed'],
      'limit a string to certain values': [
        { flight: z.object({ number: z.literal('UA1'), terminal: z.string().nullable() }) },
        'flight.number: any value was allowed, now only "UA1"',
      ],
      'raise a minimum': [{ amount: z.int().min(5) }, 'amount: minimum was narrowed from 1 to 5'],
      'lower a maximum': [{ id: z.string().min(2).max(10) }, 'id: maxLength was narrowed from 20 to 10'],
      'gain a bound': [{ note: z.string().max(10).optional() }, 'note: maxLength was narrowed from none to 10'],
      'gain a format': [{ note: z.uuid().optional() }, 'note: format was changed from none to "uuid"'],
      'gain a pattern': [{ note: z.string().regex(/x/).optional() }, 'note: pattern was changed from none to "x"'],
      'refuse unknown fields': [
        { flight: z.strictObject(published.flight.shape) },
        'flight.*: what is allowed here was narrowed',
      ],
      'narrow the values of a record': [
        { result: z.record(z.string(), z.string().max(3)) },
        'result.*: maxLength was narrowed from none to 3',
      ],
      'lose an alternative': [
        { outcome: z.discriminatedUnion('kind', [z.object({ kind: z.literal('done') })]) },
        'outcome: an alternative was removed',
      ],
      'change an alternative': [
        {
          outcome: z.discriminatedUnion('kind', [
            z.object({ kind: z.literal('done') }),
            z.object({ kind: z.literal('refused'), code: z.int() }),
          ]),
        },
        'outcome.code: the type was changed from string to integer',
      ],
    }
    for (const [title, [changes, problem]] of Object.entries(refused))
      it(title, () => {
        const problems = problemsOf(changes)
        expect(problems).to.have.length(1)
        expect(problems[0]).to.include(problem)
      })

    it('use a keyword that the check does not know', () => {
      const schema = jsonSchemaOf(z.object(published))
      expect(incompatibilities(schema, { ...schema, not: {} })).to.deep.equal(['data: not was changed from none to {}'])
    })
  })
})
