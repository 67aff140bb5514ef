/** A member of the benchmark's tenant as their app sees us: search, book, read, list, cancel. */
import type { HttpAnswer, SendHttp } from './bench-http.ts'
import { benchTenant } from './bench-tenant.ts'

const DAY_MS = 86_400_000

export interface Flight {
  id: string
  amount: number
}

export interface BenchMember {
  memberId: string
  /** Flights that can be booked, each once. */
  findFlights(): Promise<Flight[]>
  book(flight: Flight, headers?: Record<string, string>): Promise<HttpAnswer>
  read(bookingId: string, headers?: Record<string, string>): Promise<HttpAnswer>
  list(): Promise<HttpAnswer>
  cancel(bookingId: string, headers?: Record<string, string>): Promise<HttpAnswer>
}

type Found = { data: { flights: { id: string; price: { loyalty_amount: number } }[] } }

/** `BM0000001` and so on. */
export const memberIdOf = (n: number): string => `BM${String(n).padStart(7, '0')}`

/** Creates the client. commands, queries: addresses of who answers them. */
export function createBenchMember(send: SendHttp, urls: { commands: string; queries: string }, n: number): BenchMember {
  const memberId = memberIdOf(n)
  const identity = {
    'x-tenant-id': benchTenant.tenantId,
    'x-cc-api-key': benchTenant.credential,
    'x-cc-member-id': memberId,
  }
  const command = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    send(`${urls.commands}${path}`, { headers: { ...identity, ...headers }, body })
  const query = (path: string, headers: Record<string, string> = {}) =>
    send(`${urls.queries}${path}`, { headers: { ...identity, ...headers } })
  return {
    memberId,
    async findFlights() {
      const answer = await command('/api/v1/flights/search', {
        origin: 'JFK',
        destination: 'BOS',
        departure_date: new Date(Date.now() + 30 * DAY_MS).toISOString().slice(0, 10),
        passengers: { adults: 1, children: 0, infants: 0 },
      })
      if (answer.status !== 200) throw new Error(`search: ${answer.status} ${answer.text}`)
      const { flights } = (JSON.parse(answer.text) as Found).data
      return flights.map(({ id, price }) => ({ id, amount: price.loyalty_amount }))
    },
    book: (flight, headers) => command('/api/v1/bookings', bookingRequest(flight), headers),
    read: (bookingId, headers) => query(`/api/v1/bookings/${bookingId}`, headers),
    list: () => query('/api/v1/bookings'),
    cancel: (bookingId, headers) => command(`/api/v1/bookings/${bookingId}/cancel`, {}, headers),
  }
}

function bookingRequest({ id, amount }: Flight) {
  const contact = { email: 'load@example.com', phone: '+1-212-555-0123' }
  return {
    flight_id: id,
    passengers: [
      { type: 'adult', title: 'Mr', first_name: 'Loa', last_name: 'Deriver', date_of_birth: '1980-05-05', ...contact },
    ],
    payment: { method: 'loyalty_points', amount, currency: 'stars' },
    contact,
  }
}

/** The id of the booking that a create or cancel was about. Throws when the answer has none. */
export function bookingIdOf({ status, text }: HttpAnswer): string {
  const id = /"booking_id":"([^"]+)"/.exec(text)?.[1]
  if (!id) throw new Error(`no booking in the answer: ${status} ${text}`)
  return id
}
