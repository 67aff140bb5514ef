/** What the tests of the Duffel stand-in share: the stand-in in this process, the official client, unmodified, and people who fly. */
import { Duffel } from '@duffel/api'
import type { CreateOrder, CreateOrderPassenger, Offer, OfferPassenger } from '@duffel/api/types'
import { type DuffelOptions, startDuffel } from './duffel.ts'
import type { RunningSandbox } from './sandbox-server.ts'

/** What the official client throws. */
export interface Failure {
  status: number
  meta?: { status: number; request_id: string }
  errors?: {
    type: string
    code: string
    title: string
    message: string
    documentation_url: string
    source?: { field: string; pointer: string }
  }[]
  headers?: Headers
  code?: string
}

/** What `/_sandbox/state` and `/_sandbox/counters` answer, as far as it is looked at here. */
interface ControlAnswer {
  orders: { id: string; offer_id: string }[]
  calls: Record<string, number>
  effects: Record<string, number>
}

export const DATE = new Date(Date.now() + 40 * 86_400_000).toISOString().slice(0, 10)
export const LATER = new Date(Date.now() + 47 * 86_400_000).toISOString().slice(0, 10)

export type DuffelFixture = Awaited<ReturnType<typeof duffelFixture>>

/** Starts the stand-in with short delays. Call `stop` in `after`. */
export async function duffelFixture() {
  const begin = async (options: DuffelOptions = {}) => {
    const running = await startDuffel({ asyncDelaySeconds: 0.05, slowSeconds: 0.05, hangSecondsMax: 0.1, ...options })
    const duffel = new Duffel({ token: 'duffel_test_anything', basePath: `${running.url}/`, apiVersion: 'v2' })
    return { running, duffel }
  }
  let current: { running: RunningSandbox; duffel: Duffel } = await begin()

  async function restart(options: DuffelOptions = {}): Promise<void> {
    await current.running.stop()
    current = await begin(options)
  }

  const control = async (method: string, path: string, body?: unknown): Promise<ControlAnswer> => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const response = await fetch(`${current.running.url}/_sandbox/${path}`, { method, body: text })
    return JSON.parse((await response.text()) || '{}')
  }

  async function search(origin: string, destination: string, more: Record<string, unknown> = {}) {
    const slice = { origin, destination, departure_date: DATE, arrival_time: null, departure_time: null }
    const { data } = await current.duffel.offerRequests.create({
      slices: [slice],
      passengers: [{ type: 'adult' }],
      cabin_class: 'economy',
      return_offers: true,
      ...more,
    })
    return data
  }

  async function anOffer(origin = 'LHR', destination = 'JFK', pick: (offer: Offer) => boolean = isDuffelAirways) {
    const { offers } = await search(origin, destination)
    const found = (offers as Offer[]).find(pick)
    if (!found) throw new Error(`no such offer from ${origin} to ${destination}`)
    return found
  }

  return {
    /** Of the stand-in as it runs now; a restart makes new ones. */
    get running() {
      return current.running
    },
    get duffel() {
      return current.duffel
    },
    restart,
    control,
    search,
    anOffer,
    ordersOf: async (offer: Offer) =>
      (await control('GET', 'state')).orders.filter((order) => order.offer_id === offer.id),
    stop: () => current.running.stop(),
  }
}

export const instant = (offer: Offer, more: Partial<CreateOrder> = {}): CreateOrder => ({
  type: 'instant',
  selected_offers: [offer.id],
  passengers: offer.passengers.map(traveller),
  payments: [{ type: 'balance', amount: offer.total_amount, currency: offer.total_currency }],
  ...more,
})

export const onHold = (offer: Offer, more: Partial<CreateOrder> = {}): CreateOrder => ({
  ...instant(offer, more),
  // The API's word; the client's types still say `pay_later`.
  type: 'hold' as 'pay_later',
  payments: undefined,
})

export function isDuffelAirways({ owner }: Offer): boolean {
  return owner.iata_code === 'ZZ'
}

const GIVEN_NAMES = ['Grace', 'Ada', 'Katherine', 'Barbara']

export function traveller({ id }: OfferPassenger, index: number): CreateOrderPassenger {
  return {
    id,
    title: 'ms',
    gender: 'f',
    given_name: GIVEN_NAMES[index] ?? 'Mary',
    family_name: 'Hopper',
    born_on: '1986-12-09',
    email: 'grace@example.com',
    phone_number: '+442080160509',
  }
}

/** What a call that must fail was refused with. */
export async function failure(promise: Promise<unknown>): Promise<Failure> {
  try {
    await promise
  } catch (error) {
    return error as Failure
  }
  throw new Error('expected a failure, but the call succeeded')
}

/** Waits for a condition that servers in this process bring about; at most 3 s. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 3000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('condition not met within 3 s')
    // Gives those servers a turn.
    await new Promise((resolve) => setImmediate(resolve))
  }
}
