/**
 * The airports the sandbox knows, with coordinates and zones as published. `size` 1–3 decides who flies there: long
 * flights only join places that together are big enough, so that a search looks like the real network.
 */

export interface SandboxAirport {
  iata: string
  icao: string
  name: string
  cityName: string
  /** IATA metropolitan code; equals `iata` where the city has one airport. */
  cityCode: string
  /** ISO 3166-1 alpha-2. */
  country: string
  /** IANA zone. */
  timeZone: string
  latitude: number
  longitude: number
  terminals: string[]
  size: number
}

// iata|icao|name|city|metropolitan code|country|zone|latitude|longitude|terminals|size
const TABLE = `
LHR|EGLL|Heathrow Airport|London|LON|GB|Europe/London|51.470311|-0.458118|2,3,4,5|3
LGW|EGKK|Gatwick Airport|London|LON|GB|Europe/London|51.150882|-0.18617|N,S|2
STN|EGSS|London Stansted Airport|London|LON|GB|Europe/London|51.884998|0.235||2
LTN|EGGW|London Luton Airport|London|LON|GB|Europe/London|51.874699|-0.368333||1
LCY|EGLC|London City Airport|London|LON|GB|Europe/London|51.505299|0.055278||1
SEN|EGMC|London Southend Airport|London|LON|GB|Europe/London|51.571389|0.695556||1
MAN|EGCC|Manchester Airport|Manchester|MAN|GB|Europe/London|53.362908|-2.273354|1,2,3|2
EDI|EGPH|Edinburgh Airport|Edinburgh|EDI|GB|Europe/London|55.950145|-3.372288||2
DUB|EIDW|Dublin Airport|Dublin|DUB|IE|Europe/Dublin|53.428713|-6.262121|1,2|2
CDG|LFPG|Paris Charles de Gaulle Airport|Paris|PAR|FR|Europe/Paris|49.011244|2.548962|1,2E,2F|3
ORY|LFPO|Paris Orly Airport|Paris|PAR|FR|Europe/Paris|48.728283|2.359746|1,3,4|2
NCE|LFMN|Nice Côte d'Azur Airport|Nice|NCE|FR|Europe/Paris|43.660478|7.204942|1,2|2
AMS|EHAM|Amsterdam Airport Schiphol|Amsterdam|AMS|NL|Europe/Amsterdam|52.311064|4.765055||3
BRU|EBBR|Brussels Airport|Brussels|BRU|BE|Europe/Brussels|50.899774|4.485056||2
FRA|EDDF|Frankfurt Airport|Frankfurt|FRA|DE|Europe/Berlin|50.033333|8.570556|1,2|3
MUC|EDDM|Munich Airport|Munich|MUC|DE|Europe/Berlin|48.353783|11.786086|1,2|3
BER|EDDB|Berlin Brandenburg Airport|Berlin|BER|DE|Europe/Berlin|52.362247|13.500672|1,2|2
HAM|EDDH|Hamburg Airport|Hamburg|HAM|DE|Europe/Berlin|53.631278|9.991159|1,2|2
ZRH|LSZH|Zurich Airport|Zurich|ZRH|CH|Europe/Zurich|47.458056|8.548056||3
GVA|LSGG|Geneva Airport|Geneva|GVA|CH|Europe/Zurich|46.238064|6.10895|1|2
VIE|LOWW|Vienna International Airport|Vienna|VIE|AT|Europe/Vienna|48.11972|16.563583|1,3|2
BTS|LZIB|Bratislava Airport|Bratislava|BTS|SK|Europe/Bratislava|48.170167|17.212667||1
PRG|LKPR|Václav Havel Airport Prague|Prague|PRG|CZ|Europe/Prague|50.100833|14.26|1,2|2
WAW|EPWA|Warsaw Chopin Airport|Warsaw|WAW|PL|Europe/Warsaw|52.165833|20.967222||2
BUD|LHBP|Budapest Ferenc Liszt International Airport|Budapest|BUD|HU|Europe/Budapest|47.438453|19.252323|2A,2B|2
MAD|LEMD|Adolfo Suárez Madrid–Barajas Airport|Madrid|MAD|ES|Europe/Madrid|40.472219|-3.560833|1,2,4,4S|3
BCN|LEBL|Josep Tarradellas Barcelona–El Prat Airport|Barcelona|BCN|ES|Europe/Madrid|41.297445|2.083294|1,2|2
LIS|LPPT|Lisbon Airport|Lisbon|LIS|PT|Europe/Lisbon|38.774167|-9.134167|1,2|2
FCO|LIRF|Rome–Fiumicino Leonardo da Vinci Airport|Rome|ROM|IT|Europe/Rome|41.800278|12.238889|1,3|3
MXP|LIMC|Milan Malpensa Airport|Milan|MIL|IT|Europe/Rome|45.630606|8.728111|1,2|2
ATH|LGAV|Athens International Airport|Athens|ATH|GR|Europe/Athens|37.936358|23.944467||2
IST|LTFM|Istanbul Airport|Istanbul|IST|TR|Europe/Istanbul|41.262222|28.727778||3
CPH|EKCH|Copenhagen Airport|Copenhagen|CPH|DK|Europe/Copenhagen|55.617917|12.655972|2,3|2
ARN|ESSA|Stockholm Arlanda Airport|Stockholm|STO|SE|Europe/Stockholm|59.651944|17.918611|4,5|2
OSL|ENGM|Oslo Gardermoen Airport|Oslo|OSL|NO|Europe/Oslo|60.193917|11.100361||2
HEL|EFHK|Helsinki Airport|Helsinki|HEL|FI|Europe/Helsinki|60.317222|24.963333||2
KEF|BIKF|Keflavík International Airport|Reykjavik|REK|IS|Atlantic/Reykjavik|63.985|-22.605556||2
JFK|KJFK|John F. Kennedy International Airport|New York|NYC|US|America/New_York|40.640556|-73.778519|1,4,5,7,8|3
EWR|KEWR|Newark Liberty International Airport|Newark|NYC|US|America/New_York|40.689071|-74.178753|A,B,C|3
LGA|KLGA|LaGuardia Airport|New York|NYC|US|America/New_York|40.777245|-73.872608|A,B,C|2
BOS|KBOS|Boston Logan International Airport|Boston|BOS|US|America/New_York|42.36197|-71.0079|A,B,C,E|3
PVD|KPVD|Rhode Island T.F. Green International Airport|Providence|PVD|US|America/New_York|41.725889|-71.427305||1
IAD|KIAD|Washington Dulles International Airport|Washington|WAS|US|America/New_York|38.94453|-77.455811||3
PHL|KPHL|Philadelphia International Airport|Philadelphia|PHL|US|America/New_York|39.872222|-75.240833|A,B,C|2
ATL|KATL|Hartsfield–Jackson Atlanta International Airport|Atlanta|ATL|US|America/New_York|33.636719|-84.428067|N,S,I|3
MIA|KMIA|Miami International Airport|Miami|MIA|US|America/New_York|25.79325|-80.290556|N,C,S|3
MCO|KMCO|Orlando International Airport|Orlando|ORL|US|America/New_York|28.429394|-81.308994|A,B,C|2
ORD|KORD|O'Hare International Airport|Chicago|CHI|US|America/Chicago|41.978603|-87.904842|1,2,3,5|3
DFW|KDFW|Dallas Fort Worth International Airport|Dallas|DFW|US|America/Chicago|32.896828|-97.037997|A,C,D,E|3
IAH|KIAH|George Bush Intercontinental Airport|Houston|HOU|US|America/Chicago|29.984433|-95.341442|A,C,E|3
DEN|KDEN|Denver International Airport|Denver|DEN|US|America/Denver|39.861656|-104.673178||3
PHX|KPHX|Phoenix Sky Harbor International Airport|Phoenix|PHX|US|America/Phoenix|33.434278|-112.011583|3,4|2
LAS|KLAS|Harry Reid International Airport|Las Vegas|LAS|US|America/Los_Angeles|36.080056|-115.15225|1,3|2
LAX|KLAX|Los Angeles International Airport|Los Angeles|LAX|US|America/Los_Angeles|33.942536|-118.408075|1,2,4,6,7,B|3
SAN|KSAN|San Diego International Airport|San Diego|SAN|US|America/Los_Angeles|32.733556|-117.189667|1,2|2
SFO|KSFO|San Francisco International Airport|San Francisco|SFO|US|America/Los_Angeles|37.618972|-122.374889|1,2,3,I|3
SEA|KSEA|Seattle–Tacoma International Airport|Seattle|SEA|US|America/Los_Angeles|47.449|-122.309306||3
HNL|PHNL|Daniel K. Inouye International Airport|Honolulu|HNL|US|Pacific/Honolulu|21.318681|-157.922428|1,2|2
YYZ|CYYZ|Toronto Pearson International Airport|Toronto|YTO|CA|America/Toronto|43.677223|-79.630556|1,3|3
YUL|CYUL|Montréal–Trudeau International Airport|Montreal|YMQ|CA|America/Toronto|45.47175|-73.736569||2
YVR|CYVR|Vancouver International Airport|Vancouver|YVR|CA|America/Vancouver|49.193889|-123.184444|M|2
MEX|MMMX|Mexico City International Airport|Mexico City|MEX|MX|America/Mexico_City|19.436303|-99.072097|1,2|3
CUN|MMUN|Cancún International Airport|Cancun|CUN|MX|America/Cancun|21.036528|-86.877083|2,3,4|2
BOG|SKBO|El Dorado International Airport|Bogota|BOG|CO|America/Bogota|4.701594|-74.146947|1,2|2
GRU|SBGR|São Paulo–Guarulhos International Airport|Sao Paulo|SAO|BR|America/Sao_Paulo|-23.432075|-46.469511|2,3|3
EZE|SAEZ|Ministro Pistarini International Airport|Buenos Aires|BUE|AR|America/Argentina/Buenos_Aires|-34.822222|-58.535833|A|2
DXB|OMDB|Dubai International Airport|Dubai|DXB|AE|Asia/Dubai|25.252778|55.364444|1,2,3|3
AUH|OMAA|Zayed International Airport|Abu Dhabi|AUH|AE|Asia/Dubai|24.432972|54.651138|A|3
DOH|OTHH|Hamad International Airport|Doha|DOH|QA|Asia/Qatar|25.273056|51.608056||3
TLV|LLBG|Ben Gurion Airport|Tel Aviv|TLV|IL|Asia/Jerusalem|32.011389|34.886667|1,3|2
CAI|HECA|Cairo International Airport|Cairo|CAI|EG|Africa/Cairo|30.121944|31.405556|1,2,3|2
NBO|HKJK|Jomo Kenyatta International Airport|Nairobi|NBO|KE|Africa/Nairobi|-1.319239|36.927775|1A,1B|2
JNB|FAOR|O. R. Tambo International Airport|Johannesburg|JNB|ZA|Africa/Johannesburg|-26.133694|28.242317|A,B|3
CPT|FACT|Cape Town International Airport|Cape Town|CPT|ZA|Africa/Johannesburg|-33.969444|18.597222||2
ABV|DNAA|Nnamdi Azikiwe International Airport|Abuja|ABV|NG|Africa/Lagos|9.006792|7.263172||1
RAI|GVNP|Praia Nelson Mandela International Airport|Praia|RAI|CV|Atlantic/Cape_Verde|14.924500|-23.493500||1
MRU|FIMP|Sir Seewoosagur Ramgoolam International Airport|Port Louis|MRU|MU|Indian/Mauritius|-20.430235|57.6836||1
DEL|VIDP|Indira Gandhi International Airport|Delhi|DEL|IN|Asia/Kolkata|28.5665|77.103088|1,2,3|3
BOM|VABB|Chhatrapati Shivaji Maharaj International Airport|Mumbai|BOM|IN|Asia/Kolkata|19.088686|72.867919|1,2|3
BKK|VTBS|Suvarnabhumi Airport|Bangkok|BKK|TH|Asia/Bangkok|13.681108|100.747283||3
SIN|WSSS|Singapore Changi Airport|Singapore|SIN|SG|Asia/Singapore|1.350189|103.994433|1,2,3,4|3
KUL|WMKK|Kuala Lumpur International Airport|Kuala Lumpur|KUL|MY|Asia/Kuala_Lumpur|2.745578|101.709917|1,2|2
HKG|VHHH|Hong Kong International Airport|Hong Kong|HKG|HK|Asia/Hong_Kong|22.308919|113.914603|1|3
ICN|RKSI|Incheon International Airport|Seoul|SEL|KR|Asia/Seoul|37.469075|126.450517|1,2|3
HND|RJTT|Tokyo Haneda Airport|Tokyo|TYO|JP|Asia/Tokyo|35.552258|139.779694|1,2,3|3
NRT|RJAA|Narita International Airport|Tokyo|TYO|JP|Asia/Tokyo|35.764722|140.386389|1,2,3|3
SYD|YSSY|Sydney Kingsford Smith Airport|Sydney|SYD|AU|Australia/Sydney|-33.946111|151.177222|1,2,3|3
MEL|YMML|Melbourne Airport|Melbourne|MEL|AU|Australia/Melbourne|-37.673333|144.843333|1,2,3,4|2
AKL|NZAA|Auckland Airport|Auckland|AKL|NZ|Pacific/Auckland|-37.008056|174.791667|D,I|2
`

const AIRPORTS: ReadonlyMap<string, SandboxAirport> = new Map(
  TABLE.trim()
    .split('\n')
    .map((line) => {
      const [iata = '', icao = '', name = '', cityName = '', cityCode = '', country = '', timeZone = '', ...rest] =
        line.split('|')
      const [latitude, longitude, terminals = '', size] = rest
      const airport: SandboxAirport = {
        iata,
        icao,
        name,
        cityName,
        cityCode,
        country,
        timeZone,
        latitude: Number(latitude),
        longitude: Number(longitude),
        terminals: terminals === '' ? [] : terminals.split(','),
        size: Number(size),
      }
      return [iata, airport] as const
    }),
)

/** Every airport, in table order. */
export function allAirports(): SandboxAirport[] {
  return [...AIRPORTS.values()]
}

/**
 * The airports a code of an offer request means: one for an airport, several for a city (`LON`, `NYC`, `TYO`).
 *
 * Returns undefined for a code the sandbox does not know.
 */
export function findPlace(code: string): { type: 'airport' | 'city'; airports: SandboxAirport[] } | undefined {
  const airport = AIRPORTS.get(code)
  if (airport) return { type: 'airport', airports: [airport] }
  const airports = allAirports().filter((candidate) => candidate.cityCode === code)
  return airports.length > 0 ? { type: 'city', airports } : undefined
}

/** The airport of that code. Errors: throws when the sandbox does not know it. */
export function airportOf(iata: string): SandboxAirport {
  const airport = AIRPORTS.get(iata)
  if (!airport) throw new Error(`the sandbox knows no airport ${iata}`)
  return airport
}

/** Great-circle distance in kilometres (haversine, mean Earth radius). */
export function distanceKm(from: SandboxAirport, to: SandboxAirport): number {
  const radians = Math.PI / 180
  const dLatitude = (to.latitude - from.latitude) * radians
  const dLongitude = (to.longitude - from.longitude) * radians
  const a =
    Math.sin(dLatitude / 2) ** 2 +
    Math.cos(from.latitude * radians) * Math.cos(to.latitude * radians) * Math.sin(dLongitude / 2) ** 2
  return 2 * 6371 * Math.asin(Math.sqrt(a))
}
