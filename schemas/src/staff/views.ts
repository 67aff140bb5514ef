/** Signing in as staff: `/api/v1/staff/auth/*`. Our own routes: camelCase, unknown fields are refused. */
import { z } from 'zod'
import { staffRoleSchema } from './messages.ts'

export const loginRequestSchema = z
  .strictObject({
    email: z.email('Must be an e-mail address').max(254),
    password: z.string().min(1).max(200),
  })
  .meta({ id: 'StaffLogin' })
export type LoginRequest = z.infer<typeof loginRequestSchema>

/** Body of refresh and of logout. A refresh token is used once; using it again signs the whole family out. */
export const refreshRequestSchema = z
  .strictObject({ refreshToken: z.string().min(1).max(500) })
  .meta({ id: 'StaffRefresh' })
export type RefreshRequest = z.infer<typeof refreshRequestSchema>

/** 200 of login and refresh. Logout answers 204. */
export const signedInSchema = z
  .object({
    accessToken: z.string(),
    tokenType: z.literal('Bearer'),
    /** Lifetime of the access token. */
    expiresInSeconds: z.int().positive(),
    refreshToken: z.string(),
    account: z.object({
      accountId: z.string(),
      role: staffRoleSchema,
      /** The only tenant this account may act for; null for every tenant. */
      tenantScope: z.string().nullable(),
    }),
  })
  .meta({ id: 'StaffSession' })
export type SignedIn = z.infer<typeof signedInSchema>
