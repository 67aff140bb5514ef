/**
 * What a person sees once everything runs: addresses, credentials and commands to paste. The commands need bash, curl
 * and grep only, and each uses what the one before it found.
 */

export type DemoFacts = {
  /** Of the edge, e.g. `http://127.0.0.1:8080`. */
  url: string
  /** Further addresses under which the same answers. */
  alsoAt: string[]
  commandApiUrl: string
  queryApiUrl: string
  apiKey: string
  operator: { email: string; password: string }
  logs: string
  today: Date
  startedInMs: number
}

/** Members of the CoffeeChain stand-in and their stars, as the partner contract lists them. */
const MEMBERS = [
  ['CC1234567', 'John Doe', 150_000],
  ['CC2222222', 'Jane Smith', 45_000],
  ['CC3333333', 'Bob Johnson', 500_000],
  ['CC0000000', 'Test User', 1000],
] as const

const DAY_MS = 86_400_000

/** The block as one text, ending in a line break. */
export function demoBlock(facts: DemoFacts): string {
  const { url, alsoAt, commandApiUrl, queryApiUrl, apiKey, operator, logs } = facts
  const departure = new Date(facts.today.getTime() + 30 * DAY_MS).toISOString().slice(0, 10)
  const members = MEMBERS.map(([id, name, stars]) => `${id} (${name}, ${stars.toLocaleString('en-US')} stars)`)
  return `
────────────────────────────────────────────────────────────────────────
Portolan is ready (${(facts.startedInMs / 1000).toFixed(1)} s)

  API        ${url}/api/v1${alsoAt.length > 0 ? `   also at ${alsoAt.join(', ')}` : ''}
  API docs   ${url}/docs   (machines: ${url}/openapi.json, ${url}/asyncapi.json)
  Health     ${url}/api/v1/health   ${url}/health/ready
  Metrics    ${commandApiUrl}/metrics   ${queryApiUrl}/metrics   (each process its own)
  Logs       ${logs}

Demo credentials
  Tenant     X-Tenant-ID: coffeechain     X-CC-API-Key: ${apiKey}
  Members    ${members.join('\n             ')}
  Stays      Authorization: Bearer <any UUID>   (7 properties, 11 reservations of January 2021)
  Operator   ${operator.email} / ${operator.password}   (signs in at ${url}/api/v1/staff/auth/login)

Try it: paste these into bash, in this order

${walk({ url, apiKey, departure })}

Stop with Ctrl-C. \`npm run reset\` gives fresh data, \`npm run ops -- --help\` lists operator commands.
────────────────────────────────────────────────────────────────────────
`
}

/** Search, book, read, list and cancel, as shell commands. */
export function walk({ url, apiKey, departure }: { url: string; apiKey: string; departure: string }): string {
  const search = `{"origin":"JFK","destination":"BOS","departure_date":"${departure}","passengers":{"adults":1,"children":0,"infants":0}}`
  const passenger =
    '{"type":"adult","title":"Mr","first_name":"John","last_name":"Doe","date_of_birth":"1985-03-15","email":"john.doe@email.com","phone":"+1-212-555-0123"}'
  const booking = `{"flight_id":"'$FLIGHT'","passengers":[${passenger}],"payment":{"method":"loyalty_points","amount":'$STARS',"currency":"stars"},"contact":{"email":"john.doe@email.com","phone":"+1-212-555-0123"}}`
  return `  # 1. search, and pick the first flight
  API=${url}/api/v1
  AS=(-s -H 'X-Tenant-ID: coffeechain' -H 'X-CC-API-Key: ${apiKey}' -H 'X-CC-Member-ID: CC1234567' -H 'Content-Type: application/json')
  FOUND=$(curl "\${AS[@]}" $API/flights/search -d '${search}')
  FLIGHT=$(grep -o '"id":"flt_[^"]*"' <<<"$FOUND" | head -1 | cut -d'"' -f4)
  STARS=$(grep -o '"loyalty_amount":[0-9]*' <<<"$FOUND" | head -1 | cut -d: -f2)
  echo "$FLIGHT costs $STARS stars"

  # 2. book it
  BOOKED=$(curl "\${AS[@]}" $API/bookings -d '${booking}')
  echo "$BOOKED"
  BOOKING=$(grep -o '"booking_id":"[^"]*"' <<<"$BOOKED" | cut -d'"' -f4)

  # 3. read it, list all of the member's
  curl "\${AS[@]}" $API/bookings/$BOOKING; echo
  curl "\${AS[@]}" $API/bookings; echo

  # 4. cancel it: the stars come back
  curl "\${AS[@]}" $API/bookings/$BOOKING/cancel -d '{"reason":"Change of plans"}'; echo`
}
