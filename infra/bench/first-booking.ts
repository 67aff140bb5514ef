/** The first thing a newcomer does: search, take the first flight that needs no approval, book it. */

const HEADERS = {
  'Content-Type': 'application/json',
  'X-Tenant-ID': 'coffeechain',
  'X-CC-API-Key': 'test_cc_api_key_12345',
  'X-CC-Member-ID': 'CC3333333',
}
/** Stars; above this an operator would have to approve. */
const APPROVAL_THRESHOLD = 50_000

type Found = { data: { flights: { id: string; price: { loyalty_amount: number } }[] } }
type Booked = { data: { booking_id: string; status: string } }

/** Books as the demo member with the most stars. Returns the booking's id once it is confirmed; throws when it is not. */
export async function bookFirstFlight(url: string): Promise<string> {
  const found = await post<Found>(`${url}/api/v1/flights/search`, {
    origin: 'JFK',
    destination: 'BOS',
    departure_date: new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10),
    passengers: { adults: 1, children: 0, infants: 0 },
  })
  const flight = found.data.flights.find(({ price }) => price.loyalty_amount <= APPROVAL_THRESHOLD)
  if (!flight) throw new Error('the search found no flight that needs no approval')
  const booked = await post<Booked>(`${url}/api/v1/bookings`, {
    flight_id: flight.id,
    passengers: [{ type: 'adult', title: 'Mr', first_name: 'Bob', last_name: 'Johnson', date_of_birth: '1980-05-05' }],
    payment: { method: 'loyalty_points', amount: flight.price.loyalty_amount, currency: 'stars' },
    contact: { email: 'bob@example.com', phone: '+1-212-555-0123' },
  })
  if (booked.data.status !== 'confirmed') throw new Error(`the booking is ${booked.data.status}`)
  return booked.data.booking_id
}

async function post<Answer>(url: string, body: unknown): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', headers: HEADERS, body: JSON.stringify(body) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`)
  return JSON.parse(text)
}
