/**
 * What can happen to a booking. `data.at` is the instant the decider was given (the database's clock), so that
 * deciding and evolving never read one. Sealed fields are ciphertext under the member's personal key.
 */
import { z } from 'zod'
import { dateSchema, instantSchema } from '../envelope.ts'
import { type EventOf, event, eventV2 } from '../event-catalogue.ts'
import { flightSchema, passengerCountsSchema } from '../flights/offers.ts'
import { stepEvents } from '../steps.ts'

/** Ciphertext of one JSON value, `v1.<key id>.<iv>.<tag>.<ciphertext>` in base64url; the key belongs to `personId`. */
export const sealedSchema = z.string().startsWith('v1.').max(20_000)

export const bookedPassengerSchema = z.object({
  type: z.enum(['adult', 'child', 'infant']),
  /** The supplier's passenger id within the offer. */
  supplierPassengerId: z.string(),
  /** Index of the adult this infant travels with; null for adults and children. */
  withAdultIndex: z.int().min(0).nullable(),
  /** Sealed `PassengerDetails`. */
  sealed: sealedSchema,
})

/** What the sealed field of a passenger holds. Never stored or logged in the clear. */
export const passengerDetailsSchema = z.object({
  title: z.enum(['Mr', 'Ms', 'Mrs', 'Miss', 'Dr']),
  gender: z.enum(['m', 'f']),
  firstName: z.string(),
  lastName: z.string(),
  dateOfBirth: dateSchema,
  email: z.string(),
  /** E.164. */
  phone: z.string(),
})
export type PassengerDetails = z.infer<typeof passengerDetailsSchema>

/** What the sealed contact field holds. */
export const contactDetailsSchema = z.object({ email: z.string(), phone: z.string() })
export type ContactDetails = z.infer<typeof contactDetailsSchema>

export const bookedOfferSchema = z.object({
  flightId: z.string(),
  searchId: z.string(),
  supplier: z.literal('duffel'),
  supplierOfferId: z.string(),
  /** The supplier's passenger ids of the search, in the order adults, children, infants. */
  supplierPassengerIds: z.array(z.string()).max(9),
  /** Whether the fare can be held without paying. */
  holdable: z.boolean(),
  expiresAt: instantSchema,
  /** The supplier's own price, a decimal string in its currency; what we pay must equal it. */
  supplierAmount: z.string(),
  supplierCurrency: z.string().length(3),
  /** The configured exchange rate that made US cents of it; null for fares in USD. */
  conversion: z.object({ rate: z.string(), date: dateSchema }).nullable(),
  outbound: flightSchema,
  inbound: flightSchema.nullable(),
  cabinClass: z.enum(['economy', 'premium_economy', 'business', 'first']),
  passengerCounts: passengerCountsSchema,
})
export type BookedOffer = z.infer<typeof bookedOfferSchema>

export const priceSchema = z.object({
  /** Integer US cents. */
  amountMinor: z.int().positive(),
  currency: z.literal('USD'),
  /** Whole units of the programme's currency, by the tenant's exact rate. */
  loyaltyAmount: z.int().positive(),
  loyaltyCurrency: z.string(),
})
export type BookingPrice = z.infer<typeof priceSchema>

const failureReasonSchema = z.enum([
  'insufficient-balance',
  'member-not-found',
  'partner-unauthorized',
  'partner-unavailable',
  'partner-timeout',
  'partner-refused',
  'offer-unavailable',
  'supplier-unavailable',
  'supplier-refused',
  'hold-expired',
  'price-increased',
  'approval-expired',
  'operator-decision',
  /** The passengers were forgotten: a booking that came back with an older backup. */
  'passenger-gone',
])
export type FailureReason = z.infer<typeof failureReasonSchema>

const orderRef = { orderId: z.string(), bookingReference: z.string().nullable() }
/** One per passenger where the supplier issued one; `passengerIndex` counts in the order of BookingRequested. */
const ticketsSchema = z.array(
  z.object({ passengerIndex: z.int().min(0), ticketNumber: z.string(), seat: z.string().nullable() }),
)
const confirmedV1 = z.object({ ...orderRef, ticketNumbers: z.array(z.string()), at: instantSchema })
const confirmedV2 = z.object({
  ...orderRef,
  tickets: ticketsSchema,
  at: instantSchema,
})

const inUnknown = {
  step: z.string(),
  attempt: z.int().min(1),
}

/** What one look at the other side showed. */
export const sightingSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('balance'), balance: z.int(), readAt: instantSchema }),
  z.object({ kind: z.literal('no-order') }),
  /** An order that carries our booking's id. Amounts as the supplier prints them. */
  z.object({
    kind: z.literal('order'),
    ...orderRef,
    cancelled: z.boolean(),
    awaitingPayment: z.boolean(),
    totalAmount: z.string(),
    totalCurrency: z.string(),
    tickets: z.int().min(0),
  }),
  /** The look failed, or showed nothing that can be read. */
  z.object({ kind: z.literal('nothing'), code: z.string() }),
])
export type Sighting = z.infer<typeof sightingSchema>

export const bookingEvents = {
  BookingRequested: event(
    z.object({
      bookingId: z.string(),
      memberId: z.string(),
      /** Owner of the personal key that seals passengers and contact. */
      personId: z.string(),
      offer: bookedOfferSchema,
      price: priceSchema,
      passengers: z.array(bookedPassengerSchema).min(1).max(9),
      contactSealed: sealedSchema,
      at: instantSchema,
    }),
  ),
  /** Nothing is held or deducted until somebody decides; expires at `expiresAt`. */
  ApprovalRequested: event(
    z.object({
      reason: z.string(),
      askedBy: z.enum(['threshold', 'partner']),
      expiresAt: instantSchema,
      at: instantSchema,
    }),
  ),
  BookingApproved: event(z.object({ by: z.string(), at: instantSchema })),
  BookingRejected: event(z.object({ by: z.string(), reason: z.string().max(500), at: instantSchema })),
  /** After approval the fare was looked up again at the same or a lower price; this is the offer to order now. */
  FareConfirmed: event(
    z.object({
      supplierOfferId: z.string(),
      supplierPassengerIds: z.array(z.string()),
      holdable: z.boolean(),
      expiresAt: instantSchema,
      supplierAmount: z.string(),
      supplierCurrency: z.string().length(3),
      at: instantSchema,
    }),
  ),
  /** The supplier keeps the seats, unpaid, until `payBy`. */
  HoldPlaced: event(z.object({ ...orderRef, payBy: instantSchema, at: instantSchema })),
  /** The partner took the amount. `transactionId` is null when only the balance told so. */
  PaymentDeducted: event(
    z.object({
      amount: z.int().positive(),
      currency: z.string(),
      transactionId: z.string().nullable(),
      at: instantSchema,
    }),
  ),
  BookingConfirmed: eventV2(confirmedV1, confirmedV2, (data) => ({
    orderId: data.orderId,
    bookingReference: data.bookingReference,
    tickets: data.ticketNumbers.map((ticketNumber, passengerIndex) => ({ passengerIndex, ticketNumber, seat: null })),
    at: data.at,
  })),
  /** 202: the supplier took the order and will say later. The call is never repeated. */
  SupplierAccepted: event(
    z.object({
      step: z.string(),
      /** Where the supplier named the order already; without it the order is found by its metadata. */
      orderId: z.string().optional(),
      pollUntil: instantSchema,
      at: instantSchema,
    }),
  ),
  OutcomeUnknown: event(
    z.object({
      ...inUnknown,
      code: z.string(),
      reconcileUntil: instantSchema,
      /** Between these two the call was sent, if it was; absent where nothing was claimed, and in older events. */
      claimedAt: instantSchema.optional(),
      callBefore: instantSchema.optional(),
      /** What a balance will be compared with. Absent for orders. */
      movement: z
        .object({
          kind: z.enum(['deduction', 'refund']),
          amount: z.int().positive(),
          currency: z.string(),
          balanceBefore: z.int().nullable(),
          readAt: instantSchema.nullable(),
        })
        .optional(),
      at: instantSchema,
    }),
  ),
  /** A look at the other side showed something else than the look before it. `look` is its number. */
  OutcomeRead: event(z.object({ ...inUnknown, look: z.int().min(1), saw: sightingSchema, at: instantSchema })),
  OutcomeEstablished: event(
    z.object({
      ...inUnknown,
      happened: z.boolean(),
      by: z.enum(['reconciliation', 'operator', 'report']),
      at: instantSchema,
    }),
  ),
  /** Machines cannot go on: the booking waits in the operators' queue for a decision about `step`. */
  OperatorNeeded: event(
    z.object({
      ...inUnknown,
      why: z.string(),
      /** How often machines looked; absent where they had nothing to look at. */
      looks: z.int().min(1).optional(),
      decideBy: instantSchema,
      at: instantSchema,
    }),
  ),
  OperatorDecided: event(
    z.object({
      ...inUnknown,
      decision: z.enum(['happened', 'did-not-happen', 'retry', 'owe']),
      by: z.string(),
      reason: z.string().max(500),
      at: instantSchema,
    }),
  ),
  /**
   * What was concluded about an attempt turned out to be wrong. What follows from that in the ledger stands in the member's account;
   * a booking that had ended goes on being undone where something is left to undo.
   */
  OutcomeCorrected: event(
    z.object({
      ...inUnknown,
      happened: z.boolean(),
      by: z.string(),
      reason: z.string().max(500),
      /** Of the partner, for a movement that did happen. */
      transactionId: z.string().nullable(),
      /** For an order that does exist. */
      order: z.object({ ...orderRef, tickets: ticketsSchema }).nullable(),
      /** How the amount stands given back after the correction. */
      givenBack: z.enum(['refunded', 'owed']).nullable(),
      /** Whether something had been given back outside before: `owed` then stands also where a refund turns out not to have been made. */
      settledOutside: z.boolean(),
      at: instantSchema,
    }),
  ),
  /**
   * The holder of an attempt's claim reported, after the question had been closed, that it did happen, or made another order. Changes no
   * fact: it waits in the operators' queue until the conclusion is corrected or upheld.
   */
  OutcomeDisputed: event(
    z.object({
      ...inUnknown,
      /** What the report named, where it was about an order. */
      order: z.object({ ...orderRef, tickets: ticketsSchema }).nullable(),
      /** Likewise of the partner, about a movement. */
      transactionId: z.string().nullable(),
      decideBy: instantSchema,
      at: instantSchema,
    }),
  ),
  /**
   * What had been concluded about an attempt stands, although it was disputed or now that more is known of it; `reason` says what became of
   * what was reported.
   */
  OutcomeUpheld: event(
    z.object({
      ...inUnknown,
      by: z.string(),
      reason: z.string().max(500),
      /** Of the partner, for a deduction of which only the balance had told: with it the amount can be refunded by a call. */
      transactionId: z.string().optional(),
      at: instantSchema,
    }),
  ),
  /** From here on everything done so far is undone; the end is `failed` or `expired`. */
  CompensationStarted: event(
    z.object({
      to: z.enum(['failed', 'expired']),
      reason: failureReasonSchema,
      /** The balance the partner named when it was insufficient. */
      availableBalance: z.int().nullable(),
      at: instantSchema,
    }),
  ),
  CancellationRequested: event(
    z.object({
      by: z.string(),
      refundRequested: z.boolean(),
      /** The member's own words, sealed like everything they write. */
      reasonSealed: sealedSchema.nullable(),
      at: instantSchema,
    }),
  ),
  /** The supplier's order is gone. Its penalty is borne by the tenant. */
  OrderCancelled: event(
    z.object({ orderId: z.string(), penaltyMinor: z.int().min(0), currency: z.string().length(3), at: instantSchema }),
  ),
  PaymentRefunded: event(
    z.object({ amount: z.int().positive(), currency: z.string(), refundId: z.string().nullable(), at: instantSchema }),
  ),
  /** The amount cannot be given back by a call; it stands in the member's account as owed. */
  RefundOwed: event(z.object({ amount: z.int().positive(), currency: z.string(), why: z.string(), at: instantSchema })),
  BookingFailed: event(z.object({ reason: failureReasonSchema, at: instantSchema })),
  BookingExpired: event(z.object({ reason: failureReasonSchema, at: instantSchema })),
  BookingCancelled: event(
    z.object({ refund: z.enum(['processed', 'pending', 'not_requested', 'not_applicable']), at: instantSchema }),
  ),
  /**
   * The store was restored to an earlier point, and this booking may have gone on in the time that was lost. No step in doubt is
   * done before a look-up or a person says that it had not been done.
   */
  BookingHistoryLost: event(
    z.object({
      /** The generation of the log that begins with this mark. */
      generation: z.int().min(2),
      /** Events of this booking that Kafka held and the store did not know. */
      lostEvents: z.int().min(0),
      doubted: z.array(z.string()),
      at: instantSchema,
    }),
  ),
  /** A supplier's webhook said that something changed: the poll is due now instead of later. */
  StepHastened: event(z.object({ step: z.string(), at: instantSchema })),
  ...stepEvents,
} as const

export type BookingEvent = EventOf<typeof bookingEvents>

/** The steps a booking's process manager may ask for. `claimed` ones move money or orders. */
export const bookingSteps = {
  'recheck-fare': { claimed: false },
  'place-hold': { claimed: true },
  deduct: { claimed: true, movement: 'deduction' },
  'issue-tickets': { claimed: true },
  'cancel-order': { claimed: true },
  refund: { claimed: true, movement: 'refund' },
  'poll-order': { claimed: false },
  'reconcile-order': { claimed: false },
  'reconcile-movement': { claimed: false },
  'attempt-watch': { claimed: false },
  'approval-expiry': { claimed: false },
  'hold-expiry': { claimed: false },
  'operator-decision': { claimed: false },
} as const
