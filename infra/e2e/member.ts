/** A member of a programme as their app sees us: the contract's five calls over HTTP, spread round robin over the processes. */
import { randomUUID } from 'node:crypto'
import type { StartedProcess } from '@portolan/infra/testing/start-process.ts'

export interface Answer<T = Record<string, unknown>> {
  status: number
  headers: Headers
  /** The parsed body. */
  body: T
  /** The `Consistency-Token` of a command's answer. */
  token: string | null
}

// biome-ignore lint/suspicious/noExplicitAny: bodies are asserted field by field; their types are the contract tests' business
type Body = any

export interface FlightChoice {
  flightId: string
  amount: number
  currency: string
}

export interface SearchOptions {
  origin?: string
  destination?: string
  cabinClass?: string
  passengers?: { adults: number; children?: number; infants?: number }
  /** Least and most stars a chosen flight may cost. */
  minAmount?: number
  maxAmount?: number
  headers?: Record<string, string>
}

export interface Member {
  memberId: string
  tenantId: string
  headers: Record<string, string>
  search(options?: SearchOptions): Promise<Answer<Body>>
  /** Searches and picks the first flight within the price range. */
  findFlight(options?: SearchOptions): Promise<FlightChoice>
  book(flight: FlightChoice, headers?: Record<string, string>, changes?: Record<string, unknown>): Promise<Answer<Body>>
  get(bookingId: string, headers?: Record<string, string>): Promise<Answer<Body>>
  list(query?: string, headers?: Record<string, string>): Promise<Answer<Body>>
  cancel(bookingId: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<Body>>
}

/** A day far enough ahead that every route still flies. */
export const departureDate = (): string => new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10)

/** Creates the client. Correlation ids are random unless a call's headers name one. */
export function createMember(deps: {
  commandApis: readonly StartedProcess[]
  queryApis: readonly StartedProcess[]
  tenant: { tenantId: string; credential: string }
  memberId: string
}): Member {
  const { tenant, memberId } = deps
  const headers = {
    'X-Tenant-ID': tenant.tenantId,
    'X-CC-API-Key': tenant.credential,
    'X-CC-Member-ID': memberId,
  }
  let turn = 0
  const next = (processes: readonly StartedProcess[]) => {
    turn += 1
    const chosen = processes[turn % processes.length]
    if (!chosen) throw new Error('no process to ask')
    return chosen.url
  }
  const send = async (
    base: string,
    method: string,
    path: string,
    extra: Record<string, string> = {},
    body?: unknown,
  ) => {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        ...headers,
        'X-Correlation-ID': randomUUID(),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...extra,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: text ? JSON.parse(text) : undefined,
      token: response.headers.get('Consistency-Token'),
    }
  }
  const command = (path: string, body: unknown, extra?: Record<string, string>) =>
    send(next(deps.commandApis), 'POST', path, extra, body)
  const query = (path: string, extra?: Record<string, string>) => send(next(deps.queryApis), 'GET', path, extra)

  const search = ({
    origin = 'JFK',
    destination = 'LAX',
    cabinClass,
    passengers,
    headers: extra,
  }: SearchOptions = {}) =>
    command(
      '/api/v1/flights/search',
      {
        origin,
        destination,
        departure_date: departureDate(),
        passengers: { children: 0, infants: 0, ...(passengers ?? { adults: 1 }) },
        ...(cabinClass ? { cabin_class: cabinClass } : {}),
      },
      extra,
    )
  return {
    memberId,
    tenantId: tenant.tenantId,
    headers,
    search,
    async findFlight(options = {}) {
      const { minAmount = 1, maxAmount = 50_000 } = options
      const answer = await search(options)
      if (answer.status !== 200) throw new Error(`search: ${answer.status} ${JSON.stringify(answer.body)}`)
      const flights: Body[] = answer.body.data.flights
      const flight = flights.find(({ price }) => price.loyalty_amount >= minAmount && price.loyalty_amount <= maxAmount)
      if (!flight) throw new Error(`none of ${flights.length} flights costs between ${minAmount} and ${maxAmount}`)
      return { flightId: flight.id, amount: flight.price.loyalty_amount, currency: flight.price.loyalty_currency }
    },
    book: (flight, extra, changes = {}) =>
      command('/api/v1/bookings', { ...bookingRequest(flight), ...changes }, extra),
    get: (bookingId, extra) => query(`/api/v1/bookings/${bookingId}`, extra),
    list: (queryString = '', extra) => query(`/api/v1/bookings${queryString}`, extra),
    cancel: (bookingId, body = {}, extra) => command(`/api/v1/bookings/${bookingId}/cancel`, body, extra),
  }
}

/** A request for one adult that fits the flight's price. */
export function bookingRequest({ flightId, amount, currency }: FlightChoice) {
  return {
    flight_id: flightId,
    passengers: [
      {
        type: 'adult',
        title: 'Mr',
        first_name: 'John',
        last_name: 'Doe',
        date_of_birth: '1985-03-15',
        email: 'john.doe@email.com',
        phone: '+1-555-123-4567',
      },
    ],
    payment: { method: 'loyalty_points', amount, currency },
    contact: { email: 'john.doe@email.com', phone: '+1-555-123-4567' },
  }
}
