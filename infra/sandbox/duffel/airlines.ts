/**
 * The airlines the sandbox knows: an airline flies from and to its hubs, and connects through them. Duffel Airways (ZZ),
 * Duffel's own test airline, flies every route, so that every search has at least one bookable offer.
 */

export interface SandboxAirline {
  iata: string
  name: string
  /** Three-digit accounting code with which its ticket numbers begin. */
  ticketPrefix: string
  hubs: string[]
  /** Currency in which its offers are priced. */
  currency: 'USD' | 'EUR' | 'GBP'
  kind: 'network' | 'low-cost'
  /** Multiplies the route's reference fare. */
  priceFactor: number
}

export const DUFFEL_AIRWAYS: SandboxAirline = {
  iata: 'ZZ',
  name: 'Duffel Airways',
  ticketPrefix: '990',
  hubs: [],
  currency: 'USD',
  kind: 'network',
  priceFactor: 0.92,
}

// iata|name|ticket prefix|hubs|currency|kind|price factor
const TABLE = `
BA|British Airways|125|LHR,LGW,LCY|USD|network|1.06
VS|Virgin Atlantic|932|LHR,MAN|USD|network|1.02
AA|American Airlines|001|JFK,DFW,MIA,ORD,PHX,LAX,PHL|USD|network|1
DL|Delta Air Lines|006|ATL,JFK,BOS,SEA,LAX,LGA|USD|network|1.04
UA|United Airlines|016|EWR,ORD,SFO,DEN,IAH,IAD,LAX|USD|network|1.01
B6|JetBlue|279|JFK,BOS,MCO|USD|network|0.88
AS|Alaska Airlines|027|SEA,SAN,SFO|USD|network|0.9
HA|Hawaiian Airlines|173|HNL|USD|network|0.95
AC|Air Canada|014|YYZ,YUL,YVR|USD|network|0.98
AF|Air France|057|CDG,ORY|USD|network|1.05
KL|KLM|074|AMS|USD|network|1.01
LH|Lufthansa|220|FRA,MUC|USD|network|1.08
LX|SWISS|724|ZRH,GVA|USD|network|1.12
OS|Austrian Airlines|257|VIE|USD|network|0.99
SN|Brussels Airlines|082|BRU|USD|network|0.96
IB|Iberia|075|MAD|EUR|network|0.97
VY|Vueling|030|BCN,ORY|EUR|low-cost|0.72
TP|TAP Air Portugal|047|LIS|USD|network|0.87
AZ|ITA Airways|055|FCO|USD|network|0.94
SK|SAS|117|CPH,ARN,OSL|USD|network|0.97
AY|Finnair|105|HEL|USD|network|0.96
FI|Icelandair|108|KEF|USD|network|0.84
LO|LOT Polish Airlines|080|WAW|USD|network|0.88
EI|Aer Lingus|053|DUB|USD|network|0.93
FR|Ryanair|224|STN,DUB,BUD|EUR|low-cost|0.55
U2|easyJet|888|LGW,LTN,MXP,GVA,BER|GBP|low-cost|0.6
A3|Aegean Airlines|390|ATH|EUR|network|0.86
TK|Turkish Airlines|235|IST|USD|network|0.9
LY|El Al|114|TLV|USD|network|1.1
EK|Emirates|176|DXB|USD|network|1.09
EY|Etihad Airways|607|AUH|USD|network|0.98
QR|Qatar Airways|157|DOH|USD|network|1.05
SQ|Singapore Airlines|618|SIN|USD|network|1.12
CX|Cathay Pacific|160|HKG|USD|network|1.02
NH|All Nippon Airways|205|HND,NRT|USD|network|1.07
JL|Japan Airlines|131|HND,NRT|USD|network|1.06
KE|Korean Air|180|ICN|USD|network|1.01
TG|Thai Airways|217|BKK|USD|network|0.93
MH|Malaysia Airlines|232|KUL|USD|network|0.88
AI|Air India|098|DEL,BOM|USD|network|0.82
QF|Qantas|081|SYD,MEL|USD|network|1.08
NZ|Air New Zealand|086|AKL|USD|network|1.05
SA|South African Airways|083|JNB,CPT|USD|network|0.9
KQ|Kenya Airways|706|NBO|USD|network|0.86
MS|EgyptAir|077|CAI|USD|network|0.8
MK|Air Mauritius|239|MRU|USD|network|0.97
LA|LATAM Airlines|957|GRU|USD|network|0.95
AR|Aerolíneas Argentinas|044|EZE|USD|network|0.9
AV|Avianca|134|BOG|USD|network|0.85
AM|Aeroméxico|139|MEX,CUN|USD|network|0.88
`

/** Every airline but Duffel Airways, in table order. */
export const AIRLINES: readonly SandboxAirline[] = TABLE.trim()
  .split('\n')
  .map((line) => {
    const [iata = '', name = '', ticketPrefix = '', hubs = '', currency = 'USD', kind, priceFactor] = line.split('|')
    return {
      iata,
      name,
      ticketPrefix,
      hubs: hubs.split(','),
      currency: currency as SandboxAirline['currency'],
      kind: kind === 'low-cost' ? 'low-cost' : 'network',
      priceFactor: Number(priceFactor),
    }
  })

/** How much of a currency one US dollar buys, for pricing only; fixed, so that prices stay deterministic. */
export const PER_USD: Readonly<Record<SandboxAirline['currency'], number>> = { USD: 1, EUR: 0.92, GBP: 0.78 }
