// Sabotage seen to fail: leaving out the format step that rewrites fields (errors became {}, the body was printed).
import { Writable } from 'node:stream'
import { expect } from 'chai'
import { createLogger, type Logger } from './log.ts'

function loggerTo(lines: string[], level = 'debug'): Logger {
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  return createLogger({ process: 'test', level, destination })
}

describe('the logger', () => {
  let lines: string[]
  const last = () => JSON.parse(lines.at(-1) ?? '{}')
  beforeEach(() => {
    lines = []
  })

  it('writes one JSON object per line with process, level, message, time and fields', () => {
    loggerTo(lines).info('command handled', { tenantId: 'coffeechain' })
    expect(lines).to.have.length(1)
    expect(last()).to.include({ process: 'test', level: 'info', message: 'command handled', tenantId: 'coffeechain' })
    expect(last().timestamp).to.match(/^\d{4}-.*Z$/)
  })

  it('prints errors nested anywhere in the fields, with their causes', () => {
    const cause = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
    const error = new TypeError('no answer', { cause })
    loggerTo(lines).error('call failed', { attempt: { error }, all: new AggregateError([cause], 'both') })
    expect(last().attempt.error).to.include({ name: 'TypeError', message: 'no answer' })
    expect(last().attempt.error.stack).to.include('log.unit.test.ts')
    expect(last().attempt.error.cause).to.include({ message: 'connection refused', code: 'ECONNREFUSED' })
    expect(last().all.errors[0].message).to.equal('connection refused')
  })

  it('prints of an error neither row values nor bodies it carries', () => {
    const error = Object.assign(new Error('duplicate key'), {
      code: '23505',
      constraint: 'staff_accounts_email',
      detail: 'Key (email)=(jane@example.com) already exists.',
      response: { body: 'jane@example.com' },
    })
    loggerTo(lines).error('insert failed', { error })
    expect(last().error).to.include({ code: '23505', constraint: 'staff_accounts_email' })
    expect(lines.join()).to.not.include('jane')
  })

  it('leaves payloads, tokens and personal data out, wherever they are nested', () => {
    loggerTo(lines).info('received', {
      body: { name: 'Jane' },
      request: { headers: { cookie: 'Jane' }, authorization: 'Jane', size: 3 },
      passengers: ['Jane'],
      accessToken: 'Jane',
    })
    expect(lines.join()).to.not.include('Jane')
    expect(last().request.size).to.equal(3)
  })

  it('keeps quiet below its level and adds the fields of a child', () => {
    const logger = loggerTo(lines, 'warn').child({ correlationId: 'c1' })
    logger.info('not of interest')
    logger.warn('of interest', { n: 1 })
    expect(lines).to.have.length(1)
    expect(last()).to.include({ correlationId: 'c1', n: 1 })
  })

  it('survives fields that contain themselves', () => {
    const circle: Record<string, unknown> = {}
    circle.self = circle
    loggerTo(lines).info('round', { circle })
    expect(last().message).to.equal('round')
  })
})
