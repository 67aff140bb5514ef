import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import type { AppendCommand } from './append.ts'
import { encodeCommand } from './append-encoding.ts'

describe('an encoded command', () => {
  const commandOf = (streams: string[], key: string, text = ''): AppendCommand => ({
    tenantId: 'harbour',
    streams: streams.map((stream) => ({
      stream,
      topic: topics.bookings,
      partition: 0,
      expected: 1,
      events: [
        {
          eventId: '6a2f41a3-c54c-4ce8-82d2-0324e1c32e22',
          type: 'Added',
          schemaVersion: 1,
          data: { text },
          metadata: { correlationId: 'c', causationId: null, actor: { kind: 'service', id: 'test' } },
        },
      ],
    })),
    effects: [],
    idempotency: { principal: 'p', method: 'POST', path: '/', key, bodyHash: 'h', reference: null },
  })
  const sortKeyOf = (...command: Parameters<typeof commandOf>) => encodeCommand(commandOf(...command)).sortKey

  // Seen failing: sorted by the stream alone, whose order says nothing about that of the rows.
  it('sorts first by what its effects lock, so that groups of two processes lock in one order', () => {
    const locking = (stream: string, lock: string) =>
      encodeCommand({ ...commandOf([stream], 'key'), effects: [{ name: 'take', args: {}, lock }] }).sortKey
    expect(locking('z', 'slot/1') < locking('a', 'slot/2')).to.equal(true)
    expect(locking('a', 'slot/1') < locking('b', 'slot/1')).to.equal(true)
  })

  it('sorts by its first stream, and only then by its key', () => {
    expect(sortKeyOf(['b', 'y'], 'key-9') < sortKeyOf(['x', 'c'], 'key-1')).to.equal(true)
    expect(sortKeyOf(['b'], 'key-1') < sortKeyOf(['b'], 'key-2')).to.equal(true)
  })

  it('is refused when a text holds what Postgres cannot store, and not when it only speaks of it', () => {
    expect(() => encodeCommand(commandOf(['a'], 'k', 'a\0b'))).to.throw('zero character')
    expect(() => encodeCommand(commandOf(['a'], 'k', 'a\\\0b'))).to.throw('zero character')
    expect(() => encodeCommand(commandOf(['a\0'], 'k'))).to.throw('zero character')
    expect(() => encodeCommand(commandOf(['a'], 'k', 'a\ud83d'))).to.throw('half a surrogate pair')
    expect(encodeCommand(commandOf(['a'], 'k', '\ud83d\ude00 a\\u0000b \\ud83d')).eventTexts).to.have.length(1)
  })
})
