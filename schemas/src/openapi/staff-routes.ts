/** Our own routes for staff accounts: signing in, changing one's password, and what operators do with accounts. */
import { z } from 'zod'
import type { ProblemCode } from '../errors.ts'
import * as staff from '../staff/views.ts'
import { correlationHeader, type DescribedRoute, jsonBody, jsonResponse, problemResponses } from './operation.ts'

const security = [{ staffToken: [] }]
const header = z.object(correlationHeader)

export const staffRoutes: readonly DescribedRoute[] = [
  signIn('login', 'staffLogin', 'Sign in with e-mail and password', staff.loginRequestSchema),
  signIn('refresh', 'staffRefresh', 'Exchange a refresh token for new tokens', staff.refreshRequestSchema),
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
      requestBody: jsonBody(staff.refreshRequestSchema),
      responses: {
        '204': { description: 'Signed out, also when the token was unknown' },
        ...problemResponses('/api/v1/staff/auth/logout', ['validation-error']),
      },
    },
  },
  {
    method: 'post',
    path: '/api/v1/staff/auth/password',
    process: 'command-api',
    operation: {
      operationId: 'staffChangePassword',
      tags: ['Staff'],
      summary: "Change one's own password",
      description: 'Needs the current one. Every session of the account ends; the answer is a new one.',
      security,
      requestParams: { header },
      requestBody: jsonBody(staff.changePasswordRequestSchema),
      responses: {
        '200': jsonResponse('Changed, and signed in again', staff.signedInSchema),
        ...problemResponses('/api/v1/staff/auth/password', ['validation-error', 'unauthorized', 'conflict']),
      },
    },
  },
  {
    method: 'get',
    path: '/ops/staff',
    process: 'command-api',
    operation: {
      operationId: 'opsStaff',
      tags: ['Operations'],
      summary: 'Staff accounts, by e-mail',
      security,
      requestParams: { header, query: staff.staffAccountsQuerySchema },
      responses: {
        '200': jsonResponse('One page', staff.staffAccountListSchema),
        ...problemResponses('/ops/staff', ['validation-error', 'unauthorized', 'forbidden']),
      },
    },
  },
  accountChange('disable', 'Keep somebody out: no sign-in any more, and every session ends at once', ['conflict']),
  accountChange('enable', 'Let somebody in again who was kept out'),
]

function signIn(verb: 'login' | 'refresh', operationId: string, summary: string, body: z.ZodType): DescribedRoute {
  const path = `/api/v1/staff/auth/${verb}`
  return {
    method: 'post',
    path,
    process: 'command-api',
    operation: {
      operationId,
      tags: ['Staff'],
      summary,
      security: [],
      requestParams: { header },
      requestBody: jsonBody(body),
      responses: {
        '200': jsonResponse('Signed in', staff.signedInSchema),
        ...problemResponses(path, ['validation-error', 'unauthorized']),
      },
    },
  }
}

function accountChange(verb: string, summary: string, refusals: readonly ProblemCode[] = []): DescribedRoute {
  return {
    method: 'post',
    path: `/ops/staff/{accountId}/${verb}`,
    process: 'command-api',
    operation: {
      operationId: `ops-staff-${verb}`,
      tags: ['Operations'],
      summary,
      security,
      requestParams: { header, path: staff.staffAccountParamsSchema },
      requestBody: jsonBody(staff.staffAccountChangeSchema),
      responses: {
        '200': jsonResponse('The account as it is now, also when it was so already', staff.staffAccountViewSchema),
        ...problemResponses(`/ops/staff/4f6b2c1e/${verb}`, [
          'validation-error',
          'unauthorized',
          'forbidden',
          'not-found',
          ...refusals,
        ]),
      },
    },
  }
}
