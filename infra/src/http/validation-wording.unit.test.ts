import { Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import { z } from 'zod'

import { parseInput } from './problem.ts'

const schema = z.strictObject({
  name: z.string().min(1).max(3),
  kind: z.enum(['a', 'b']),
  count: z.int().min(2).max(5),
  price: z.number().positive().lt(100),
  day: z.iso.date(),
  rows: z.array(z.object({ seat: z.string() })).min(1),
})
const valid = { name: 'x', kind: 'a', count: 2, price: 1, day: '2026-11-21', rows: [{ seat: '1A' }] }

function refusalOf(input: unknown): Rejection {
  try {
    parseInput(schema, input)
  } catch (error) {
    if (error instanceof Rejection) return error
    throw error
  }
  throw new Error('it was not refused')
}

describe('a request', () => {
  it('that fits is returned parsed', () => {
    expect(parseInput(schema, valid)).to.deep.equal(valid)
  })

  const cases: [string, object, string, string][] = [
    ['lacks a field', { name: undefined }, 'name', 'Is required'],
    ['has a field of another type', { name: 1 }, 'name', 'Must be a string'],
    ['has a fraction where an integer is wanted', { count: 2.5 }, 'count', 'Must be an integer'],
    ['has an empty text', { name: '' }, 'name', 'Must not be empty'],
    ['has a text that is too long', { name: 'xxxx' }, 'name', 'Must have at most 3 characters'],
    ['has a number that is too small', { count: 1 }, 'count', 'Must be at least 2'],
    ['has a number that is too big', { count: 6 }, 'count', 'Must be at most 5'],
    ['has a number that must be more', { price: 0 }, 'price', 'Must be more than 0'],
    ['has a number that must be less', { price: 100 }, 'price', 'Must be less than 100'],
    ['has an unknown choice', { kind: 'c' }, 'kind', 'Must be one of a, b'],
    ['has a day that does not exist', { day: '2026-02-30' }, 'day', 'Must be a valid date'],
    ['has an empty list', { rows: [] }, 'rows', 'Must not be empty'],
    ['is wrong within a list', { rows: [{ seat: '1A' }, {}] }, 'rows.1.seat', 'Is required'],
    ['has a field nobody knows', { extra: 1 }, '', 'Must not contain "extra"'],
  ]
  for (const [title, change, field, message] of cases)
    it(`that ${title} is refused`, () => {
      const refusal = refusalOf({ ...valid, ...change })
      expect(refusal.code).to.equal('validation-error')
      expect(refusal.members.errors).to.deep.equal([{ field, message }])
      expect(refusal.detail).to.equal(field ? `${field}: ${message}` : message)
    })

  it('that is wrong in several places is told all of them', () => {
    const { errors } = refusalOf({ ...valid, name: '', count: 9 }).members as { errors: { field: string }[] }
    expect(errors.map(({ field }) => field)).to.deep.equal(['name', 'count'])
  })

  it('that is wrong in very many places is told twenty of them', () => {
    const rows = Array.from({ length: 50 }, () => ({}))
    expect(refusalOf({ ...valid, rows }).members.errors).to.have.length(20)
  })

  it('is never quoted in the refusal', () => {
    const refusal = refusalOf({ ...valid, name: 'Private Person', kind: 'private@example.com' })
    expect(JSON.stringify([refusal.detail, refusal.members])).to.not.match(/private/i)
  })
})
