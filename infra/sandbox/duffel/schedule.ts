/**
 * Which flights exist. A timetable belongs to a route and repeats every day with the same numbers and times; only prices
 * depend on the date. Everything follows from the seed, so the same search finds the same flights in every process.
 */
import { AIRLINES, DUFFEL_AIRWAYS, type SandboxAirline } from './airlines.ts'
import { airportOf, distanceKm, type SandboxAirport } from './airports.ts'
import { addDays, fromLocal, toLocal } from './local-time.ts'
import { hash, type Random, randomOf } from './random.ts'

const NONSTOP_MAX = 18
const ITINERARIES_MAX = 26
const CONNECTIONS_PER_AIRLINE_MAX = 2
/** Beyond this a route is long-haul: bigger aircraft, and only between big enough airports. */
const LONG_HAUL_KM = 4500
const RANGE_KM = 15_500
const LAYOVER_MINUTES = { low: 60, high: 360 }

export interface Aircraft {
  iata: string
  name: string
}

export interface Flight {
  airline: SandboxAirline
  /** Without the airline's code, e.g. `117`. */
  number: string
  from: SandboxAirport
  to: SandboxAirport
  /** Milliseconds since the epoch. */
  departsAt: number
  arrivesAt: number
  minutes: number
  km: number
  aircraft: Aircraft
  fromTerminal: string | null
  toTerminal: string | null
  /** A landing on the way without change of aircraft. */
  stop?: { airport: SandboxAirport; minutes: number }
}

export interface Itinerary {
  airline: SandboxAirline
  flights: Flight[]
  /** Door to door in minutes, layovers included. */
  minutes: number
}

export interface ScheduleOptions {
  seed: string
  /** Largest number of connections; 0 means nonstop only. */
  maxConnections: number
  /** `connecting`: only journeys with a connection; `with-stop`: flights that land on the way. */
  shape?: 'any' | 'connecting' | 'with-stop'
}

/**
 * Every journey from one airport to another that leaves on a local date, nonstops first, then by duration.
 *
 * date: `YYYY-MM-DD`, local to the origin. Duffel Airways is always among them.
 */
export function findItineraries(
  from: SandboxAirport,
  to: SandboxAirport,
  date: string,
  options: ScheduleOptions,
): Itinerary[] {
  const { seed, shape = 'any', maxConnections } = options
  if (shape === 'with-stop') return flightsOn(seed, DUFFEL_AIRWAYS, from, to, date).map(landingOnTheWay).map(nonstop)
  const carriers = [DUFFEL_AIRWAYS, ...AIRLINES.filter((airline) => serves(airline, from, to))]
  const nonstops =
    shape === 'connecting' ? [] : carriers.flatMap((airline) => flightsOn(seed, airline, from, to, date)).map(nonstop)
  const connecting = shape === 'connecting' || maxConnections > 0 ? findConnections(seed, from, to, date, shape) : []
  const shortest = (list: Itinerary[]) => list.toSorted((a, b) => a.minutes - b.minutes)
  const kept = keepDuffelAirways(shortest(nonstops), NONSTOP_MAX)
  return [...kept, ...keepDuffelAirways(shortest(connecting), ITINERARIES_MAX - kept.length)]
}

function keepDuffelAirways(sorted: Itinerary[], max: number): Itinerary[] {
  const own = sorted.filter(({ airline }) => airline === DUFFEL_AIRWAYS)
  return [...own, ...sorted.filter(({ airline }) => airline !== DUFFEL_AIRWAYS)].slice(0, max)
}

function nonstop(flight: Flight): Itinerary {
  return { airline: flight.airline, flights: [flight], minutes: flight.minutes }
}

function findConnections(
  seed: string,
  from: SandboxAirport,
  to: SandboxAirport,
  date: string,
  shape: 'any' | 'connecting',
): Itinerary[] {
  const direct = distanceKm(from, to)
  // Nobody changes planes for a hop; on a test route that demands it, Duffel Airways connects through Frankfurt.
  if (direct < 1000 && shape === 'any') return []
  const own = shape === 'connecting' ? connectionsVia(seed, DUFFEL_AIRWAYS, from, airportOf('FRA'), to, date) : []
  const others = AIRLINES.flatMap((airline) =>
    airline.kind === 'low-cost'
      ? []
      : airline.hubs
          .map(airportOf)
          .filter((hub) => hub !== from && hub !== to)
          .filter((hub) => serves(airline, from, hub) && serves(airline, hub, to))
          .filter((hub) => distanceKm(from, hub) + distanceKm(hub, to) < direct * 1.35 + 300)
          .flatMap((hub) => connectionsVia(seed, airline, from, hub, to, date))
          .slice(0, CONNECTIONS_PER_AIRLINE_MAX),
  )
  return [...own, ...others]
}

function connectionsVia(
  seed: string,
  airline: SandboxAirline,
  from: SandboxAirport,
  hub: SandboxAirport,
  to: SandboxAirport,
  date: string,
): Itinerary[] {
  return flightsOn(seed, airline, from, hub, date).flatMap((first) => {
    const arrivalDate = toLocal(first.arrivesAt, hub.timeZone).slice(0, 10)
    const onwards = [arrivalDate, addDays(arrivalDate, 1)].flatMap((day) => flightsOn(seed, airline, hub, to, day))
    const second = onwards.find(({ departsAt }) => {
      const layover = (departsAt - first.arrivesAt) / 60_000
      return layover >= LAYOVER_MINUTES.low && layover <= LAYOVER_MINUTES.high
    })
    if (!second) return []
    return [{ airline, flights: [first, second], minutes: (second.arrivesAt - first.departsAt) / 60_000 }]
  })
}

/** Whether an airline flies nonstop between two airports. */
function serves(airline: SandboxAirline, from: SandboxAirport, to: SandboxAirport): boolean {
  const km = distanceKm(from, to)
  if (km < 150 || km > RANGE_KM) return false
  if (!airline.hubs.includes(from.iata) && !airline.hubs.includes(to.iata)) return false
  if (km > LONG_HAUL_KM) return airline.kind === 'network' && from.size + to.size >= 5
  // Small airports see about half of the airlines that could come.
  return from.size + to.size > 3 || hash(`${airline.iata}${[from.iata, to.iata].sort()}`) % 2 === 0
}

/** An airline's flights of one local day on one route, in order of departure. */
function flightsOn(
  seed: string,
  airline: SandboxAirline,
  from: SandboxAirport,
  to: SandboxAirport,
  date: string,
): Flight[] {
  const random = randomOf(seed, 'timetable', airline.iata, from.iata, to.iata)
  const km = distanceKm(from, to)
  const daily = random.between(km > 6000 ? 1 : 2, km > 6000 ? 2 : km > 2500 ? 3 : 4)
  const firstNumber = random.between(10, km > LONG_HAUL_KM ? 149 : 1400) * 2 + (from.longitude < to.longitude ? 0 : 1)
  const minutes = blockMinutes(km, from, to)
  const flights = Array.from({ length: daily }, (_, index): Flight => {
    const departsAt = fromLocal(date, departureMinutes(random, km, from, to, index / daily), from.timeZone)
    return {
      airline,
      number: String(firstNumber + index * 2),
      from,
      to,
      departsAt,
      arrivesAt: departsAt + minutes * 60_000,
      minutes,
      km,
      aircraft: aircraftFor(random, km, airline),
      fromTerminal: terminalOf(airline, from),
      toTerminal: terminalOf(airline, to),
    }
  })
  return flights.toSorted((a, b) => a.departsAt - b.departsAt)
}

/** Gate to gate: cruise, taxi and climb, and the wind, which helps eastward. Rounded to five minutes. */
function blockMinutes(km: number, from: SandboxAirport, to: SandboxAirport): number {
  const wind = km < 2000 ? 1 : isEastward(from, to) ? 0.95 : 1.05
  return Math.round(((km / 14) * wind + 35) / 5) * 5
}

/**
 * Local minutes after midnight; long eastward flights leave in the evening and arrive in the morning. `share` (0 to 1)
 * spreads one airline's flights over the day.
 */
function departureMinutes(random: Random, km: number, from: SandboxAirport, to: SandboxAirport, share: number): number {
  const [first, last] = km > 5000 && isEastward(from, to) ? [17 * 60, 22 * 60] : [6 * 60 + 20, 20 * 60 + 30]
  return Math.floor((first + (last - first) * share) / 5) * 5 + random.between(0, 15) * 5
}

function isEastward(from: SandboxAirport, to: SandboxAirport): boolean {
  return (to.longitude - from.longitude + 540) % 360 > 180
}

function terminalOf(airline: SandboxAirline, airport: SandboxAirport): string | null {
  if (airport.terminals.length === 0) return null
  return airport.terminals[hash(airline.iata + airport.iata) % airport.terminals.length] ?? null
}

const SHORT_HAUL: readonly Aircraft[] = [
  { iata: '320', name: 'Airbus A320' },
  { iata: '32N', name: 'Airbus A320neo' },
  { iata: '32Q', name: 'Airbus A321neo' },
  { iata: '738', name: 'Boeing 737-800' },
  { iata: '7M8', name: 'Boeing 737 MAX 8' },
  { iata: '223', name: 'Airbus A220-300' },
]
const LONG_HAUL: readonly Aircraft[] = [
  { iata: '77W', name: 'Boeing 777-300ER' },
  { iata: '789', name: 'Boeing 787-9' },
  { iata: '359', name: 'Airbus A350-900' },
  { iata: '351', name: 'Airbus A350-1000' },
  { iata: '339', name: 'Airbus A330-900' },
]
const LOW_COST: Readonly<Record<string, Aircraft>> = {
  FR: { iata: '7M8', name: 'Boeing 737 MAX 8' },
  U2: { iata: '32N', name: 'Airbus A320neo' },
}

function aircraftFor(random: Random, km: number, airline: SandboxAirline): Aircraft {
  const chosen = random.pick(km > LONG_HAUL_KM ? LONG_HAUL : SHORT_HAUL)
  return LOW_COST[airline.iata] ?? chosen
}

/** Lets a flight land in Istanbul on the way, for Duffel's test route with stops. */
function landingOnTheWay(flight: Flight): Flight {
  const stopMinutes = 55
  const minutes = flight.minutes + stopMinutes
  const arrivesAt = flight.departsAt + minutes * 60_000
  return { ...flight, minutes, arrivesAt, stop: { airport: airportOf('IST'), minutes: stopMinutes } }
}
