import { createPool } from '@portolan/infra/postgres.ts'
import { createRecordingLogger } from '@portolan/infra/testing/recording-logger.ts'
import { expect } from 'chai'
import type pg from 'pg'
import { type Clock, startDatabaseClock } from './clock.ts'

describe("the database's clock", () => {
  const machineNow = Date.now
  let pool: pg.Pool
  let clock: Clock

  before(async () => {
    const url = process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres'
    pool = createPool({ url, max: 1, name: 'clock-test' }, createRecordingLogger())
    clock = await startDatabaseClock(pool, createRecordingLogger())
  })
  after(async () => {
    Date.now = machineNow
    clock.stop()
    await pool.end()
  })

  it("tells the database's time", async () => {
    const { rows } = await pool.query('select clock_timestamp() as now')
    expect(Math.abs(Date.parse(clock.now()) - rows[0].now.getTime())).to.be.lessThan(250)
  })

  it("goes on when the machine's time is set forward and back again", () => {
    const before = Date.parse(clock.now())
    Date.now = () => machineNow() + 3_600_000
    const within = Date.parse(clock.now())
    Date.now = machineNow
    expect(within - before).to.be.within(0, 1000)
  })
})
