/**
 * What members, an operator and guests of stays (`stays-load.ts`) do all day, chosen from the seed: search, book, look, list, cancel, decide, and all of it twice, at once
 * and again under the same key. Some members use two devices at the same time.
 */
import { operator } from '../e2e/environment.ts'
import { bookingRequest, departureDate } from '../e2e/member.ts'
import type { Client, Sender } from './client.ts'
import type { Evidence, SentRequest, Try } from './evidence.ts'
import { type Laboratory, type Tenant, tenants } from './laboratory.ts'
import { approvalTtlMs, type Profile } from './profiles.ts'
import { createRandom, type Random } from './random.ts'
import { startGuests } from './stays-load.ts'

const RICH = 30_000_000
/** Pays for a few flights. */
const POOR = 60_000

/** Share in the bookings, and what the stand-in for Duffel does on the route. */
const routes: readonly {
  share: number
  origin: string
  destination: string
  cabin?: string
  min?: number
  max?: number
}[] = [
  { share: 46, origin: 'JFK', destination: 'LAX' },
  // Only offers that can be held.
  { share: 24, origin: 'JFK', destination: 'EWR' },
  // Dear enough for an approval.
  { share: 14, origin: 'JFK', destination: 'LAX', cabin: 'business', min: 50_001, max: 2_000_000 },
  // Ordered with 202, happens later.
  { share: 6, origin: 'SEN', destination: 'STN' },
  // Ordered with 200, happens later.
  { share: 4, origin: 'LTN', destination: 'STN' },
  // 502 before anything was booked.
  { share: 3, origin: 'LHR', destination: 'LGW' },
  // 422: the price has changed.
  { share: 3, origin: 'LGW', destination: 'LTN' },
]

// biome-ignore lint/suspicious/noExplicitAny: the load looks at a few members of bodies whose contract other tests check
type Body = any

interface Booked {
  bookingId: string
  request: SentRequest
}

export interface Load {
  /** Resolves when everybody has finished what they began; call `end` first. */
  done: Promise<void>
  /** Nobody begins anything any more. */
  end(): void
  members: Evidence['members']
  personalData: string[]
}

/** Adds the members at the partner and begins. Everything sent and heard goes through `client`. */
export async function startLoad(
  lab: Laboratory,
  client: Client,
  { seed, profile }: { seed: number; profile: Profile },
  evidence: Pick<Evidence, 'requests'>,
): Promise<Load> {
  const personalData: string[] = []
  const members: Evidence['members'] = []
  const pending: { tenantId: string; bookingId: string; decideAtMs: number }[] = []
  let isEnding = false
  const actors: Promise<void>[] = []

  for (let index = 0; index < profile.members; index++) {
    const { tenantId } = tenants[index % tenants.length] as Tenant
    const memberId = `${tenantId === 'kettle' ? 'KT' : 'TH'}${String(9_000_001 + index)}`
    members.push({ tenantId, memberId, balance: index % 7 === 6 ? POOR : RICH })
  }
  for (const { memberId, balance } of members) await addMember(lab.partnerUrl, memberId, balance)
  for (const [index, { tenantId, memberId }] of members.entries()) {
    const credential = tenants.find((tenant) => tenant.tenantId === tenantId)?.credential ?? ''
    const headers = { 'X-Tenant-ID': tenantId, 'X-CC-API-Key': credential, 'X-CC-Member-ID': memberId }
    const sender: Sender = { tenantId, principal: `member:${memberId}`, headers }
    const booked: Booked[] = []
    // Two devices of one member share what was booked, and meet on it.
    const devices = index % 3 === 0 ? 2 : 1
    for (let device = 0; device < devices; device++) {
      actors.push(act(sender, booked, createRandom(seed, `${memberId}/${device}`)))
    }
  }
  actors.push(operate(createRandom(seed, 'operator')))
  actors.push(startGuests(client, seed, () => isEnding))

  async function act(sender: Sender, booked: Booked[], random: Random): Promise<void> {
    for (let turn = 0; !isEnding; turn++) {
      await pause(random.between(0, profile.pauseMs))
      const chance = random.next()
      if (chance < 0.55) await book(sender, booked, random, turn)
      else if (chance < 0.85) await cancel(sender, booked, random, turn)
      else if (chance < 0.93) await client.read(sender, '/api/v1/bookings?limit=50', null)
      else await repeat(sender, booked, random)
    }
  }

  async function book(sender: Sender, booked: Booked[], random: Random, turn: number): Promise<void> {
    const flight = await findFlight(sender, random)
    if (!flight || isEnding) return
    const body = { ...bookingRequest(flight), ...person(random) }
    const idempotencyKey = `${sender.principal}-book-${turn}-${random.between(0, 999_999)}`
    const command = { path: '/api/v1/bookings', body, idempotencyKey, waitSeconds: random.between(0, 6) }
    const copies = random.chance(0.15) ? 2 : random.chance(0.04) ? 6 : 1
    const sending = client.command(sender, command, copies)
    const request = evidence.requests.at(-1)
    // The same key for something else: refused, whichever comes first.
    const other = random.chance(0.06)
      ? client.command(sender, { ...command, body: { ...body, ...person(random) } })
      : undefined
    const answer: Try & { body?: Body } = await sending
    await other
    const bookingId: string | undefined = answer.body?.data?.booking_id ?? answer.body?.error?.booking_id
    if (!bookingId || !request) return
    booked.push({ bookingId, request })
    if (answer.body.data?.status === 'pending_approval') {
      // Many are decided when it is too late, a moment or some seconds after they expired; some never.
      const afterMs = random.chance(0.4) ? approvalTtlMs + random.between(-500, 3_000) : random.between(0, 2_000)
      const decideAtMs = performance.now() + afterMs
      if (!random.chance(0.1)) pending.push({ tenantId: sender.tenantId, bookingId, decideAtMs })
    }
    await look(sender, bookingId, answer.token, random)
  }

  /** Reads what was just written, with the token or without, one of them or the list. */
  async function look(sender: Sender, bookingId: string, token: string | null, random: Random): Promise<void> {
    const sentToken = random.chance(0.5) ? token : null
    const path = random.chance(0.7) ? `/api/v1/bookings/${bookingId}` : '/api/v1/bookings?limit=50'
    await client.read(sender, path, sentToken)
  }

  async function cancel(sender: Sender, booked: Booked[], random: Random, turn: number): Promise<void> {
    if (booked.length === 0) return
    const { bookingId } = random.pick(booked)
    const reason = random.chance(0.5) ? { reason: secret(`because of ${word(random)} ${word(random)}`) } : {}
    const command = { path: `/api/v1/bookings/${bookingId}/cancel`, body: reason, waitSeconds: random.between(0, 6) }
    const idempotencyKey = `${sender.principal}-cancel-${turn}-${random.between(0, 999_999)}`
    const copies = random.chance(0.2) ? 2 : 1
    const sending = client.command(sender, { ...command, idempotencyKey }, copies)
    // A second cancellation of its own beside it.
    const beside = random.chance(0.15)
      ? client.command(sender, { ...command, idempotencyKey: `${idempotencyKey}-too` })
      : null
    const answer = await sending
    await beside
    await look(sender, bookingId, answer.token, random)
  }

  /** An earlier request, sent once more under its key. */
  async function repeat(sender: Sender, booked: Booked[], random: Random): Promise<void> {
    if (booked.length > 0) await client.again(sender, random.pick(booked).request)
  }

  async function findFlight(sender: Sender, random: Random) {
    const route = random.pick(routes.flatMap((one) => Array<(typeof routes)[number]>(one.share).fill(one)))
    const { origin, destination, cabin, min = 1, max = 50_000 } = route
    const answer = await client.ask('command-api', sender, 'POST', '/api/v1/flights/search', {
      origin,
      destination,
      departure_date: departureDate(),
      passengers: { adults: 1, children: 0, infants: 0 },
      ...(cabin ? { cabin_class: cabin } : {}),
    })
    const flights: Body[] = answer.body?.data?.flights ?? []
    const fitting = flights.filter(({ price }) => price.loyalty_amount >= min && price.loyalty_amount <= max)
    if (fitting.length === 0) return undefined
    const { id, price } = random.pick(fitting)
    return { flightId: id, amount: price.loyalty_amount, currency: price.loyalty_currency }
  }

  /** Everybody who flies has a name of their own, so that each can be looked for in what must not hold it. */
  function person(random: Random) {
    const [first, last] = [secret(word(random)), secret(word(random))]
    const email = secret(`${first}.${last}@example.org`.toLowerCase())
    const phone = secret(`+1555${random.between(2_000_000, 9_999_999)}`)
    const born = secret(`19${random.between(50, 99)}-0${random.between(1, 9)}-1${random.between(0, 9)}`)
    return {
      passengers: [
        { type: 'adult', title: 'Ms', first_name: first, last_name: last, date_of_birth: born, email, phone },
      ],
      contact: { email, phone },
    }
  }

  function secret(text: string): string {
    personalData.push(text)
    return text
  }

  async function operate(random: Random): Promise<void> {
    let staff: Sender | null = null
    while (!isEnding) {
      staff ??= await signIn()
      if (!staff) continue
      await pause(random.between(50, 300))
      const due = pending.findIndex(({ decideAtMs }) => decideAtMs <= performance.now())
      const [next] = due < 0 ? [] : pending.splice(due, 1)
      if (!next) continue
      const path = `/ops/tenants/${next.tenantId}/bookings/${next.bookingId}`
      const approve = { path: `${path}/approve`, body: {}, idempotencyKey: `approve-${next.bookingId}` }
      const reject = {
        path: `${path}/reject`,
        body: { reason: 'too expensive' },
        idempotencyKey: `reject-${next.bookingId}`,
      }
      const isBoth = random.chance(0.2)
      const [first, second] = random.chance(0.7) ? [approve, reject] : [reject, approve]
      const answers = await Promise.all([
        client.command({ ...staff, tenantId: next.tenantId }, first),
        ...(isBoth ? [client.command({ ...staff, tenantId: next.tenantId }, second)] : []),
      ])
      if (answers.some(({ status }) => status === 401)) staff = null
    }
  }

  /** Null while nobody answers. */
  async function signIn(): Promise<Sender | null> {
    const sender = { tenantId: '', principal: `staff:${operator.email}`, headers: {} }
    const { status, body } = await client.ask('command-api', sender, 'POST', '/api/v1/staff/auth/login', operator)
    if (status !== 200) return null
    return { ...sender, headers: { Authorization: `Bearer ${body.accessToken}` } }
  }

  const done = Promise.all(actors).then(() => undefined)
  done.catch(() => undefined) // whoever waits for it hears of it
  return {
    done,
    end: () => {
      isEnding = true
    },
    members,
    personalData,
  }
}

async function addMember(partnerUrl: string, memberId: string, balance: number): Promise<void> {
  const response = await fetch(`${partnerUrl}/_sandbox/members`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ member_id: memberId, balance }),
  })
  if (!response.ok) throw new Error(`the partner takes no member: ${response.status} ${await response.text()}`)
}

/** A name that nobody else has, of ten letters. */
function word(random: Random): string {
  const letters = Array.from({ length: 9 }, () => String.fromCharCode(97 + random.between(0, 25))).join('')
  return `Q${letters}`
}

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))
