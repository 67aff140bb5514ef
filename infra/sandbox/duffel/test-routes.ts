/**
 * Searches that trigger a behaviour. The first group is Duffel's own ("Test your integration" in its documentation),
 * the second exists only here. The airports of the first slice decide, as typed in the offer request.
 */

export type Trigger =
  | 'no-flights'
  | 'hold-only'
  | 'connecting'
  | 'no-baggage'
  | 'search-timeout'
  | 'with-stop'
  | 'offer-gone'
  | 'price-rises'
  | 'order-airline-error'
  | 'insufficient-balance'
  | 'ok-created-later'
  | 'accepted-created-later'
  | 'accepted-never-created'
  | 'airline-credits'
  | 'price-changed'
  | 'expires-soon'
  | 'error-but-booked'
  | 'error-not-booked'
  | 'order-not-created'
  | 'slow'
  | 'hang-but-booked'
  | 'hang-not-booked'
  | 'reset-but-booked'

const ROUTES: Readonly<Record<string, Trigger>> = {
  // Duffel's
  'PVD-RAI': 'no-flights',
  'JFK-EWR': 'hold-only',
  'LHR-DXB': 'connecting',
  'BTS-MRU': 'no-baggage',
  'STN-LHR': 'search-timeout',
  'DXB-AMS': 'with-stop',
  'LGW-LHR': 'offer-gone',
  'LHR-STN': 'price-rises',
  'LHR-LGW': 'order-airline-error',
  'LGW-STN': 'insufficient-balance',
  'LTN-STN': 'ok-created-later',
  'SEN-STN': 'accepted-created-later',
  'LCY-STN': 'accepted-never-created',
  'LTN-SYD': 'airline-credits',
  // Ours
  'LGW-LTN': 'price-changed',
  'LGW-LCY': 'expires-soon',
  'STN-LGW': 'error-but-booked',
  'STN-LTN': 'error-not-booked',
  'STN-LCY': 'order-not-created',
  'STN-SEN': 'slow',
  'LTN-LGW': 'hang-but-booked',
  'LTN-LCY': 'hang-not-booked',
  'LTN-SEN': 'reset-but-booked',
}

/** What a search between these codes triggers; undefined for an ordinary route. */
export function triggerOf(origin: string, destination: string): Trigger | undefined {
  return ROUTES[`${origin}-${destination}`]
}
