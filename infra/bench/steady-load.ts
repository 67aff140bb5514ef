/**
 * The soak's load, a process of its own: so many bookings started per second, whatever the answers take; each is a search, a booking,
 * a read and a list of it, and every second one is cancelled again. A member has one booking under way at a time.
 * Ends on SIGTERM, once what is under way is done, with its counts as the last line.
 *
 *   node infra/bench/steady-load.ts '{"urls": …, "members": 100, "perSecond": 3}'
 */

import { createHttpClient } from './bench-http.ts'
import { type BenchMember, bookingIdOf, createBenchMember } from './bench-member.ts'
import { benchTenant } from './bench-tenant.ts'

export interface SteadyLoad {
  urls: { commands: string; queries: string }
  /** How many members, each of whom the partner must know. */
  members: number
  /** Bookings started per second. */
  perSecond: number
}

/** What happened: `confirmed: 12, cancelled: 6, 'create 503': 1 …`. */
export type LoadCounts = Record<string, number>

const { urls, members, perSecond } = JSON.parse(process.argv[2] ?? '{}') as SteadyLoad
const client = createHttpClient(members)
const free = Array.from({ length: members }, (_, n) => createBenchMember(client.send, urls, n))
const counts: LoadCounts = {}
const count = (what: string) => {
  counts[what] = (counts[what] ?? 0) + 1
}
const underWay = new Set<Promise<void>>()
let started = 0

function startOne(): void {
  const member = free.shift()
  if (!member) {
    count('no member was free')
    return
  }
  started += 1
  const done = journey(member, started % 2 === 0)
    .catch((error: Error) => count(`fault: ${error.message.slice(0, 60)}`))
    .finally(() => {
      free.push(member)
      underWay.delete(done)
    })
  underWay.add(done)
}

async function journey(member: BenchMember, cancels: boolean): Promise<void> {
  const flight = (await member.findFlights()).find(({ amount }) => amount <= benchTenant.approvalThreshold)
  if (!flight) throw new Error('no flight was found')
  const booked = await member.book(flight)
  const { status } = booked
  count(status === 201 ? 'confirmed' : `create ${status}`)
  if (status !== 201) return
  const bookingId = bookingIdOf(booked)
  const [read, list] = await Promise.all([member.read(bookingId), member.list()])
  count(`read ${read.status}`)
  count(`list ${list.status}`)
  if (!cancels) return
  const cancelled = await member.cancel(bookingId)
  count(cancelled.status === 200 ? 'cancelled' : `cancel ${cancelled.status}`)
}

const beganAt = performance.now()
let due = 0
const timer = setInterval(() => {
  // By the clock, not by ticks: a late tick makes up for what it missed, at most a second's worth.
  const owed = ((performance.now() - beganAt) / 1000) * perSecond
  due = Math.max(due, owed - perSecond)
  for (; due < owed; due++) startOne()
}, 50)

process.once('SIGTERM', async () => {
  clearInterval(timer)
  await Promise.all(underWay)
  client.close()
  process.stdout.write(`${JSON.stringify(counts)}\n`)
})
