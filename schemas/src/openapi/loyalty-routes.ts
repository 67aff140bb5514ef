/** The loyalty API (contracts/loyalty-api.md), as the first programme's clients call it. */
import { z } from 'zod'
import {
  bookingDetailSchema,
  bookingListSchema,
  cancelBookingRequestSchema,
  cancelledBookingSchema,
  createBookingRequestSchema,
  createdBookingSchema,
  healthSchema,
  listBookingsQuerySchema,
  pendingBookingSchema,
} from '../bookings/views.ts'
import type { ProblemCode } from '../errors.ts'
import { searchRequestSchema, searchResponseSchema } from '../flights/views.ts'
import * as examples from './examples.ts'
import {
  consistencyHeader,
  correlationHeader,
  type DescribedRoute,
  freshnessHeaders,
  jsonResponse,
  loyaltyErrorResponses,
  waitHeaders,
} from './operation.ts'

const tenantHeaders = {
  'X-Tenant-ID': z.string().meta({ example: 'coffeechain' }),
  'X-CC-Member-ID': z
    .string()
    .regex(/^CC\d{7}$/)
    .meta({ example: 'CC1234567' }),
  'X-Mock-Error': z
    .enum(['insufficient-balance', 'auth-failed', 'api-timeout', 'approval-required', 'invalid-member', 'true'])
    .optional()
    .meta({ description: 'Provokes a failure; ignored unless the platform runs in test mode' }),
  ...correlationHeader,
}
const security = [{ coffeechainKey: [] }]
const bookingParams = z.object({ booking_id: z.string().meta({ example: 'bkg_xyz789' }) })
const always: readonly ProblemCode[] = ['validation-error', 'unauthorized']
const commands: readonly ProblemCode[] = [
  ...always,
  'partner-unavailable',
  'partner-timeout',
  'conflict',
  'idempotency-busy',
  'idempotency-mismatch',
  'payload-too-large',
]
const locationHeader = { Location: z.string().meta({ description: 'Path of the booking' }) }
const stillPending = jsonResponse('The wait ended with the outcome still open', pendingBookingSchema, {
  example: examples.pendingBookingExample,
  headers: locationHeader,
  limited: true,
})

export const loyaltyRoutes: readonly DescribedRoute[] = [
  {
    method: 'post',
    path: '/api/v1/flights/search',
    process: 'command-api',
    operation: {
      operationId: 'searchFlights',
      tags: ['Flights'],
      summary: 'Search flights with prices in the programme’s currency',
      security,
      requestParams: { header: z.object(tenantHeaders) },
      requestBody: {
        required: true,
        content: { 'application/json': { schema: searchRequestSchema, example: examples.searchRequestExample } },
      },
      responses: {
        '200': jsonResponse('Flights, cheapest first', searchResponseSchema, {
          example: examples.searchResponseExample,
          limited: true,
        }),
        ...loyaltyErrorResponses('/api/v1/flights/search', [
          ...always,
          'invalid-cabin-class',
          'payload-too-large',
          'partner-unavailable',
          'partner-timeout',
        ]),
      },
    },
  },
  {
    method: 'post',
    path: '/api/v1/bookings',
    process: 'command-api',
    operation: {
      operationId: 'createBooking',
      tags: ['Bookings'],
      summary: 'Book a flight from a search and pay with loyalty currency',
      description:
        '`payment` is what the client expects to pay; it must equal the price of the search. A passenger’s `email` and `phone` default to those of `contact`.',
      security,
      requestParams: { header: z.object({ ...tenantHeaders, ...waitHeaders }) },
      requestBody: {
        required: true,
        content: { 'application/json': { schema: createBookingRequestSchema, example: examples.createBookingExample } },
      },
      responses: {
        '201': jsonResponse('Confirmed, or waiting for an approval', createdBookingSchema, {
          examples: { confirmed: examples.confirmedBookingExample, pending_approval: examples.pendingApprovalExample },
          headers: locationHeader,
          limited: true,
        }),
        '202': stillPending,
        ...loyaltyErrorResponses('/api/v1/bookings', [
          ...commands,
          'insufficient-balance',
          'flight-not-found',
          'member-not-found',
          'offer-already-booked',
          'offer-no-longer-available',
        ]),
      },
    },
  },
  {
    method: 'get',
    path: '/api/v1/bookings',
    process: 'query-api',
    operation: {
      operationId: 'listBookings',
      tags: ['Bookings'],
      summary: 'The member’s bookings, newest first',
      description:
        'The filter `pending` matches every pending state. `failed`, `rejected` and `expired` bookings are listed only when asked for.',
      security,
      requestParams: { header: z.object({ ...tenantHeaders, ...consistencyHeader }), query: listBookingsQuerySchema },
      responses: {
        '200': jsonResponse('One page', bookingListSchema, {
          example: examples.bookingListExample,
          headers: freshnessHeaders,
          limited: true,
        }),
        ...loyaltyErrorResponses('/api/v1/bookings', [...always, 'read-model-behind']),
      },
    },
  },
  {
    method: 'get',
    path: '/api/v1/bookings/{booking_id}',
    process: 'query-api',
    operation: {
      operationId: 'getBooking',
      tags: ['Bookings'],
      summary: 'One booking of the member',
      security,
      requestParams: { header: z.object({ ...tenantHeaders, ...consistencyHeader }), path: bookingParams },
      responses: {
        '200': jsonResponse('The booking', bookingDetailSchema, {
          example: examples.bookingDetailExample,
          headers: freshnessHeaders,
          limited: true,
        }),
        ...loyaltyErrorResponses('/api/v1/bookings/bkg_xyz789', [...always, 'booking-not-found', 'read-model-behind']),
      },
    },
  },
  {
    method: 'post',
    path: '/api/v1/bookings/{booking_id}/cancel',
    process: 'command-api',
    operation: {
      operationId: 'cancelBooking',
      tags: ['Bookings'],
      summary: 'Cancel a booking and give the amount back',
      security,
      requestParams: { header: z.object({ ...tenantHeaders, ...waitHeaders }), path: bookingParams },
      requestBody: {
        required: false,
        content: { 'application/json': { schema: cancelBookingRequestSchema, example: examples.cancelBookingExample } },
      },
      responses: {
        '200': jsonResponse('Cancelled; repeating it gives the first result again', cancelledBookingSchema, {
          example: examples.cancelledBookingExample,
          limited: true,
        }),
        '202': stillPending,
        ...loyaltyErrorResponses('/api/v1/bookings/bkg_xyz789/cancel', [
          ...commands,
          'booking-not-found',
          'not-cancellable',
        ]),
      },
    },
  },
  {
    method: 'get',
    path: '/api/v1/health',
    process: 'query-api',
    operation: {
      operationId: 'getHealth',
      tags: ['Health'],
      summary: 'Whether the platform and what it depends on are up',
      security: [],
      responses: {
        '200': jsonResponse('Healthy, or degraded: a partner or the flight supplier is down', healthSchema, {
          example: examples.healthExample,
        }),
        '503': jsonResponse('Unhealthy: the database is down', healthSchema),
      },
    },
  },
]
