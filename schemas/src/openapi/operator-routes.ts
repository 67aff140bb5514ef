/** Our own routes for operators: their commands and lists, and the supplier's webhook. */
import { z } from 'zod'
import type { ProblemCode } from '../errors.ts'
import * as ops from '../ops/views.ts'
import {
  consistencyHeader,
  correlationHeader,
  type DescribedRoute,
  freshnessHeaders,
  idempotencyHeader,
  jsonBody,
  jsonResponse,
  problemResponses,
} from './operation.ts'

const security = [{ staffToken: [] }]
const header = z.object(correlationHeader)

export const operatorRoutes: readonly DescribedRoute[] = [
  opsCommand('approve', 'Approve a booking that waits for it', ops.approveRequestSchema, ['not-pending-approval']),
  opsCommand('reject', 'Reject a booking that waits for approval', ops.rejectRequestSchema, ['not-pending-approval']),
  opsCommand('decide-outcome', 'Decide a call whose outcome nobody knows', ops.decideOutcomeRequestSchema, [
    'no-decision-needed',
    'conflict',
  ]),
  opsCommand(
    'correct-outcome',
    'Correct a conclusion that was wrong, or uphold a disputed one',
    ops.correctOutcomeRequestSchema,
    ['no-decision-needed', 'conflict'],
  ),
  opsCommand('settle-recovery', 'Record that an unpaid amount came in or is waived', ops.settleRecoveryRequestSchema, [
    'conflict',
  ]),
  opsCommand('settle-refund', 'Record that an owed refund was given back', ops.settleRefundRequestSchema, ['conflict']),
  {
    method: 'post',
    path: '/ops/tenants/{tenantId}/members/{memberId}/forget',
    process: 'command-api',
    operation: {
      operationId: 'ops-forget',
      tags: ['Operations'],
      summary: 'Forget a person: blank everything they gave, in every booking and for good',
      description: [
        "Names, dates of birth, e-mail addresses, phone numbers and the member's own words can never be read again: names of passengers",
        'become empty texts. The bookings themselves stay, with the member id, because accounts must. Refused while one of the',
        "member's bookings is being worked on or an amount is owed to or by them. Orders at the supplier keep their passengers: ask there as well.",
      ].join(' '),
      security,
      requestParams: {
        header: z.object({ ...correlationHeader, ...idempotencyHeader }),
        path: ops.opsMemberParamsSchema,
      },
      requestBody: jsonBody(ops.forgetRequestSchema),
      responses: {
        '200': jsonResponse('Forgotten, now or earlier', ops.forgottenSchema),
        ...problemResponses('/ops/tenants/coffeechain/members/CC1234567/forget', [
          'validation-error',
          'unauthorized',
          'forbidden',
          'member-not-found',
          'not-forgettable',
          'idempotency-busy',
          'idempotency-mismatch',
        ]),
      },
    },
  },
  {
    method: 'post',
    path: '/ops/log/republish',
    process: 'command-api',
    operation: {
      operationId: 'ops-republish',
      tags: ['Operations'],
      summary: 'Begin the next generation of the event log after the store was restored to an earlier point',
      description: [
        'Until it has begun nothing is called at suppliers and partners. Every booking that may have gone on in the time that was lost is',
        'marked: what may have been done already is not done again before a look-up or an operator says so. Each call does a bounded piece;',
        'repeat it with the same generation until `phase` is `begun`. `npm run ops -- log republish` does that and shows the progress.',
      ].join(' '),
      security,
      requestParams: { header },
      requestBody: jsonBody(ops.republishRequestSchema),
      responses: {
        '200': jsonResponse('How far it is', ops.republicationSchema),
        ...problemResponses('/ops/log/republish', [
          'validation-error',
          'unauthorized',
          'forbidden',
          'conflict',
          'unavailable',
        ]),
      },
    },
  },
  opsQuery('bookings', 'Bookings of every tenant, newest first', ops.opsBookingsQuerySchema, ops.opsBookingListSchema),
  {
    method: 'get',
    path: '/ops/tenants/{tenantId}/bookings/{bookingId}',
    process: 'query-api',
    operation: {
      operationId: 'opsGetBooking',
      tags: ['Operations'],
      summary: 'One booking with everything an operator needs',
      security,
      requestParams: {
        header: z.object({ ...correlationHeader, ...consistencyHeader }),
        path: ops.opsBookingParamsSchema,
      },
      responses: {
        '200': jsonResponse('The booking', ops.opsBookingDetailSchema, { headers: freshnessHeaders }),
        ...problemResponses('/ops/tenants/coffeechain/bookings/bkg_xyz789', [
          'unauthorized',
          'forbidden',
          'booking-not-found',
          'read-model-behind',
        ]),
      },
    },
  },
  opsQuery('approvals', 'Bookings that wait for approval', ops.opsQueueQuerySchema, ops.pendingApprovalListSchema),
  opsQuery(
    'unknown-outcomes',
    'Calls whose outcome is unknown, or disputed',
    ops.opsQueueQuerySchema,
    ops.unknownOutcomeListSchema,
  ),
  opsQuery('ledger', 'Double-entry lines of loyalty currency', ops.ledgerQuerySchema, ops.ledgerSchema),
  {
    method: 'post',
    path: '/hooks/duffel',
    process: 'command-api',
    operation: {
      operationId: 'receiveDuffelWebhook',
      tags: ['Webhooks'],
      summary: 'The flight supplier says that an order changed',
      description: 'Only makes the poll of that order due; nothing in the body is believed.',
      security: [{ duffelSignature: [] }],
      requestBody: jsonBody(
        z
          .looseObject({
            id: z.string().max(200),
            type: z.string().max(200).meta({ example: 'order.created' }),
            data: z
              .looseObject({
                object: z
                  .looseObject({ id: z.string().max(200).optional(), order_id: z.string().max(200).optional() })
                  .optional(),
              })
              .optional(),
          })
          .meta({ id: 'DuffelWebhook' }),
      ),
      responses: {
        '200': jsonResponse('Taken, also when the order is not ours', z.object({ received: z.literal(true) })),
        ...problemResponses('/hooks/duffel', ['validation-error', 'unauthorized']),
      },
    },
  },
]

function opsCommand(verb: string, summary: string, body: z.ZodType, refusals: readonly ProblemCode[]): DescribedRoute {
  return {
    method: 'post',
    path: `/ops/tenants/{tenantId}/bookings/{bookingId}/${verb}`,
    process: 'command-api',
    operation: {
      operationId: `ops-${verb}`,
      tags: ['Operations'],
      summary,
      security,
      requestParams: {
        header: z.object({ ...correlationHeader, ...idempotencyHeader }),
        path: ops.opsBookingParamsSchema,
      },
      requestBody: jsonBody(body, !body.safeParse(undefined).success),
      responses: {
        '200': jsonResponse('Done; where the booking stands now', ops.opsCommandAnswerSchema),
        ...problemResponses(`/ops/tenants/coffeechain/bookings/bkg_xyz789/${verb}`, [
          'validation-error',
          'unauthorized',
          'forbidden',
          'booking-not-found',
          'idempotency-busy',
          'idempotency-mismatch',
          ...refusals,
        ]),
      },
    },
  }
}

function opsQuery(list: string, summary: string, query: z.ZodObject, answer: z.ZodType): DescribedRoute {
  return {
    method: 'get',
    path: `/ops/${list}`,
    process: 'query-api',
    operation: {
      operationId: `ops-${list}`,
      tags: ['Operations'],
      summary,
      security,
      requestParams: { header: z.object({ ...correlationHeader, ...consistencyHeader }), query },
      responses: {
        '200': jsonResponse('One page', answer, { headers: freshnessHeaders }),
        ...problemResponses(`/ops/${list}`, ['validation-error', 'unauthorized', 'forbidden', 'read-model-behind']),
      },
    },
  }
}
