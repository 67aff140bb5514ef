import { Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import { decodeToken, encodeToken, hasReached, mergePositions } from './consistency-token.ts'

const bookings = 'bookings.events.v1'
const members = 'members.events.v1'

describe('a consistency token', () => {
  it('comes back as the positions it was made from', () => {
    const made = { generation: 2, positions: { [bookings]: { '3': 17, '0': 1 }, [members]: { '15': 9 } } }
    expect(decodeToken(encodeToken(made))).to.deep.equal(made)
    const naming = { ...made, streams: ['booking-bkg_1'] }
    expect(decodeToken(encodeToken(naming))).to.deep.equal(naming)
  })

  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const foreign: Record<string, string> = {
    'no base64': '%%%',
    'no JSON': Buffer.from('hello').toString('base64url'),
    'no object': encode(17),
    'no generation': encode({ p: {} }),
    'a topic we do not have': encode({ g: 1, p: { 'other.events.v1': { 0: 1 } } }),
    'a partition that is no number': encode({ g: 1, p: { [bookings]: { '-1': 1 } } }),
    'a position that is no number': encode({ g: 1, p: { [bookings]: { 0: '1' } } }),
    'a position before the first': encode({ g: 1, p: { [bookings]: { 0: 0 } } }),
    'a member more': encode({ g: 1, p: {}, x: 1 }),
    'a megabyte': 'A'.repeat(1_000_000),
  }
  for (const [what, token] of Object.entries(foreign))
    it(`is refused as invalid when it holds ${what}`, () => {
      expect(() => decodeToken(token))
        .to.throw(Rejection)
        .with.property('code', 'validation-error')
    })
})

describe('positions', () => {
  it('merge to the higher one of each partition', () => {
    const merged = mergePositions(
      { [bookings]: { '0': 5, '1': 2 } },
      { [bookings]: { '0': 3, '2': 1 }, [members]: { '0': 1 } },
    )
    expect(merged).to.deep.equal({ [bookings]: { '0': 5, '1': 2, '2': 1 }, [members]: { '0': 1 } })
  })

  it('are reached when no partition of the topics in question is behind', () => {
    const reached = { [bookings]: { '0': 5 } }
    expect(hasReached(reached, { [bookings]: { '0': 5 } }, [bookings])).to.equal(true)
    expect(hasReached(reached, { [bookings]: { '0': 6 } }, [bookings])).to.equal(false)
    expect(hasReached(reached, { [bookings]: { '1': 1 } }, [bookings])).to.equal(false)
    expect(hasReached(reached, { [members]: { '0': 9 } }, [bookings])).to.equal(true)
  })
})
