/** Stays (contracts/ota-api.md): reserving for guests, properties for staff. */
import { z } from 'zod'
import type { ZodOpenApiResponseObject } from 'zod-openapi'
import * as stays from '../stays/views.ts'
import { correlationHeader, type DescribedRoute, idempotencyHeader, jsonBody, jsonResponse } from './operation.ts'

const guest = [{ guestToken: [] }]
const staff = [{ staffToken: [] }]
const header = z.object({ ...correlationHeader, ...idempotencyHeader })
const ruleHeader = {
  'X-Interval-Rule': z
    .enum(['nights', 'closed', 'literal'])
    .meta({ description: 'Which days a stay occupies and asks for' }),
}
const reservationParams = z.object({ reservation_id: z.uuid() })
const propertyParams = z.object({ property_id: z.string() })

const freshHeaders = {
  'X-Read-Model-Age': z.string().meta({ description: 'Age of the answer in seconds' }),
  'X-Read-Model-Events': z.string().meta({ description: 'Events in the answer' }),
}
const readHeader = z.object({
  ...correlationHeader,
  'Consistency-Token': z.string().optional().meta({
    description: 'The answer reflects what answered with it; without one, what this token wrote within a minute',
  }),
})

export const staysRoutes: readonly DescribedRoute[] = [
  {
    method: 'get',
    path: '/api/v1/properties/available',
    process: 'query-api',
    operation: {
      operationId: 'searchStays',
      tags: ['Stays'],
      summary: 'Properties that are free for a number of nights',
      description:
        'By id, at most 1,000 a page. The token may also come as `X-Access-Token` or as the parameter `access_token` or `token`. `number_of_nights` stands for `nights`. `text`, `guests`, `price_min` and `price_max` (minor units, with `currency`) and `bounds` find what the host has said of a property.',
      security: guest,
      requestParams: { header: readHeader, query: stays.searchStaysQuerySchema },
      responses: {
        '200': jsonResponse('A page of properties; empty only behind the last one', stays.foundPropertiesSchema, {
          headers: { ...ruleHeader, ...freshHeaders },
        }),
        ...errors({
          '400': 'validation_error',
          '401': 'No UUID as token, or two that disagree',
          '404': 'no_availability',
        }),
      },
    },
  },
  {
    method: 'get',
    path: '/api/v1/properties/{property_id}/reservations',
    process: 'query-api',
    operation: {
      operationId: 'listPropertyReservations',
      tags: ['Stays'],
      summary: 'The reservations of a property that stand, by date',
      security: guest,
      requestParams: { header: readHeader, path: propertyParams, query: stays.propertyReservationsQuerySchema },
      responses: {
        '200': jsonResponse('A page of reservations', stays.propertyReservationsSchema, { headers: freshHeaders }),
        ...errors({ '400': 'validation_error', '401': 'No UUID as token, or two that disagree', '404': 'not_found' }),
      },
    },
  },
  {
    method: 'get',
    path: '/api/v1/reservations/{reservation_id}',
    process: 'query-api',
    operation: {
      operationId: 'getReservation',
      tags: ['Stays'],
      summary: 'A reservation',
      security: guest,
      requestParams: { header: readHeader, path: reservationParams },
      responses: {
        '200': jsonResponse('The reservation', stays.reservationSchema, { headers: freshHeaders }),
        ...errors({ '401': 'No UUID as token, or two that disagree', '404': 'not_found' }),
      },
    },
  },
  {
    method: 'post',
    path: '/api/v1/reservations',
    process: 'command-api',
    operation: {
      operationId: 'reserveStay',
      tags: ['Stays'],
      summary: 'Reserve a property for a number of nights',
      description:
        'The parameters may also come as a query or a form, the token as `X-Access-Token` or as the parameter `access_token` or `token`. `number_of_nights` stands for `nights`.',
      security: guest,
      requestParams: { header },
      requestBody: jsonBody(stays.reserveRequestSchema),
      responses: {
        '200': jsonResponse('Reserved', stays.reservationSchema, { headers: ruleHeader }),
        ...errors({
          '400': 'validation_error, unknown_property, not_available, idempotency_key_reused or request_in_progress',
          '401': 'No UUID as token, or two that disagree',
          '429': 'rate_limit: this address asks too often',
        }),
      },
    },
  },
  guestCommand('cancel', 'cancelStay', 'Cancel a reservation', undefined),
  guestCommand('dates', 'changeStayDates', 'Change the dates of a reservation', stays.changeDatesRequestSchema),
  {
    method: 'post',
    path: '/api/v1/properties',
    process: 'command-api',
    operation: {
      operationId: 'registerProperty',
      tags: ['Stays'],
      summary: 'Register a property',
      security: staff,
      requestParams: { header },
      requestBody: jsonBody(stays.registerPropertyRequestSchema),
      responses: {
        '201': jsonResponse('Registered', stays.propertySchema, { headers: { Location: z.string() } }),
        ...errors({
          '400': 'validation_error',
          '401': 'Not signed in',
          '403': 'Not your tenant',
          '409': 'The id is taken',
        }),
      },
    },
  },
  staffCommand('describe', 'describeProperty', 'Say anew what a property is', stays.describePropertyRequestSchema),
  staffCommand('retire', 'retireProperty', 'Take no reservations for a property any more', undefined),
]

function guestCommand(verb: string, operationId: string, summary: string, body: z.ZodType | undefined): DescribedRoute {
  return {
    method: 'post',
    path: `/api/v1/reservations/{reservation_id}/${verb}`,
    process: 'command-api',
    operation: {
      operationId,
      tags: ['Stays'],
      summary,
      description: 'With the token that reserved; for any other there is no such reservation.',
      security: guest,
      requestParams: { header, path: reservationParams },
      ...(body && { requestBody: jsonBody(body) }),
      responses: {
        '200': jsonResponse('As it is now', stays.reservationSchema, { headers: ruleHeader }),
        ...errors({
          '400': 'validation_error, not_available, idempotency_key_reused or request_in_progress',
          '401': 'No UUID as token, or two that disagree',
          '404': 'not_found',
          ...(body && { '409': 'It is cancelled' }),
          '429': 'rate_limit: this address asks too often',
        }),
      },
    },
  }
}

function staffCommand(verb: string, operationId: string, summary: string, body: z.ZodType | undefined): DescribedRoute {
  return {
    method: 'post',
    path: `/api/v1/properties/{property_id}/${verb}`,
    process: 'command-api',
    operation: {
      operationId,
      tags: ['Stays'],
      summary,
      security: staff,
      requestParams: { header, path: propertyParams },
      ...(body && { requestBody: jsonBody(body) }),
      responses: {
        '200': jsonResponse('As it is now', stays.propertySchema),
        ...errors({
          '400': 'validation_error',
          '401': 'Not signed in',
          '403': 'Not your tenant',
          '404': 'not_found',
          '409': 'It is retired',
        }),
      },
    },
  }
}

function errors(described: Record<string, string>): Record<string, ZodOpenApiResponseObject> {
  const all = {
    ...described,
    '503': 'A database is away, or the answer would be older than what the caller wrote; try again',
  }
  return Object.fromEntries(
    Object.entries(all).map(([status, description]) => [status, jsonResponse(description, stays.staysErrorSchema)]),
  )
}
