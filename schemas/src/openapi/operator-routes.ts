/** Our own routes for staff: signing in, operators' commands and lists, and the supplier's webhook. */
import { z } from 'zod'
import type { ProblemCode } from '../errors.ts'
import * as ops from '../ops/views.ts'
import { loginRequestSchema, refreshRequestSchema, signedInSchema } from '../staff/views.ts'
import {
  consistencyHeader,
  correlationHeader,
  type DescribedRoute,
  idempotencyHeader,
  jsonResponse,
  problemResponses,
} from './operation.ts'

const security = [{ staffToken: [] }]
const header = z.object(correlationHeader)

export const operatorRoutes: readonly DescribedRoute[] = [
  staffRoute('login', 'Sign in with e-mail and password', loginRequestSchema),
  staffRoute('refresh', 'Exchange a refresh token for new tokens', refreshRequestSchema),
  {
    method: 'post',
    path: '/api/v1/staff/auth/logout',
    process: 'command-api',
    operation: {
      operationId: 'staffLogout',
      tags: ['Staff'],
      summary: 'End the session of a refresh token',
      security: [],
      requestParams: { header },
      requestBody: jsonBody(refreshRequestSchema),
      responses: {
        '204': { description: 'Signed out, also when the token was unknown' },
        ...problemResponses('/api/v1/staff/auth/logout', ['validation-error']),
      },
    },
  },
  opsCommand('approve', 'Approve a booking that waits for it', ops.approveRequestSchema, ['not-pending-approval']),
  opsCommand('reject', 'Reject a booking that waits for approval', ops.rejectRequestSchema, ['not-pending-approval']),
  opsCommand('decide-outcome', 'Decide a call whose outcome nobody knows', ops.decideOutcomeRequestSchema, [
    'no-decision-needed',
    'conflict',
  ]),
  opsCommand('settle-refund', 'Record that an owed refund was given back', ops.settleRefundRequestSchema, ['conflict']),
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
        '200': jsonResponse('The booking', ops.opsBookingDetailSchema),
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
  opsQuery('unknown-outcomes', 'Calls whose outcome is unknown', ops.opsQueueQuerySchema, ops.unknownOutcomeListSchema),
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

function staffRoute(verb: 'login' | 'refresh', summary: string, body: z.ZodType): DescribedRoute {
  const path = `/api/v1/staff/auth/${verb}`
  return {
    method: 'post',
    path,
    process: 'command-api',
    operation: {
      operationId: verb === 'login' ? 'staffLogin' : 'staffRefresh',
      tags: ['Staff'],
      summary,
      security: [],
      requestParams: { header },
      requestBody: jsonBody(body),
      responses: {
        '200': jsonResponse('Signed in', signedInSchema),
        ...problemResponses(path, ['validation-error', 'unauthorized']),
      },
    },
  }
}

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
        '200': jsonResponse('One page', answer),
        ...problemResponses(`/ops/${list}`, ['validation-error', 'unauthorized', 'forbidden', 'read-model-behind']),
      },
    },
  }
}

function jsonBody(schema: z.ZodType, required = true) {
  return { required, content: { 'application/json': { schema } } }
}
