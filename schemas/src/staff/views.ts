/** Staff: signing in (`/api/v1/staff/auth/*`) and accounts (`/ops/staff`). Our own routes: camelCase, unknown fields are refused. */
import { z } from 'zod'
import { instantSchema } from '../envelope.ts'
import { staffRoleSchema } from './messages.ts'

export const loginRequestSchema = z
  .strictObject({
    email: z.email('Must be an e-mail address').max(254),
    password: z.string().min(1).max(200),
  })
  .meta({ id: 'StaffLogin' })

/** Body of refresh and of logout. A refresh token is used once; using it again signs the whole family out. */
export const refreshRequestSchema = z
  .strictObject({ refreshToken: z.string().min(1).max(500) })
  .meta({ id: 'StaffRefresh' })

/** 200 is a new session; all others of the account have ended. */
export const changePasswordRequestSchema = z
  .strictObject({
    currentPassword: z.string().min(1).max(200),
    newPassword: z.string().min(12, 'Must have at least 12 characters').max(200),
  })
  .meta({ id: 'StaffPasswordChange' })

/** 200 of login, refresh and password. Logout answers 204. */
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

/** Query of `GET /ops/staff`. */
export const staffAccountsQuerySchema = z.strictObject({
  email: z
    .email('Must be an e-mail address')
    .max(254)
    .optional()
    .meta({ description: 'Only the account with this e-mail' }),
  limit: z.coerce.number().int().min(1).max(100).default(50),
  after: z.string().max(254).optional().meta({ description: 'The e-mail that the page before ended with' }),
})

export const staffAccountParamsSchema = z.object({ accountId: z.string().min(1).max(100) })

/** Body of disable and enable; the reason stands in the audit trail. */
export const staffAccountChangeSchema = z
  .strictObject({ reason: z.string().trim().min(1).max(500) })
  .meta({ id: 'StaffAccountChange' })

export const staffAccountViewSchema = z
  .object({
    accountId: z.string(),
    email: z.string(),
    role: staffRoleSchema,
    tenantScope: z.string().nullable(),
    /** Null: may sign in. */
    disabledAt: instantSchema.nullable(),
  })
  .meta({ id: 'StaffAccount' })
export type StaffAccountView = z.infer<typeof staffAccountViewSchema>

/** By e-mail. */
export const staffAccountListSchema = z
  .object({ accounts: z.array(staffAccountViewSchema), nextAfter: z.string().nullable() })
  .meta({ id: 'StaffAccountList' })
export type StaffAccountList = z.infer<typeof staffAccountListSchema>
