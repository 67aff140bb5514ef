/** What the bodies of the loyalty contract say. */

interface Body {
  data?: { booking_id?: string; status?: string }
  error?: { booking_id?: string; type?: string; detail?: string }
}

/** The booking that an answer is about: every answer after it exists names it. */
export function bookingIdIn(body: unknown): string | undefined {
  const { data, error } = (body ?? {}) as Body
  return data?.booking_id ?? error?.booking_id
}

/** Last part of the problem's type, `conflict` and the like; undefined for what is no problem. */
export function problemIn(body: unknown): { type: string | undefined; detail: string } | undefined {
  const { error } = (body ?? {}) as Body
  return error && { type: error.type?.split('/').at(-1), detail: error.detail ?? '' }
}
