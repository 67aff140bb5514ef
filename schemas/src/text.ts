/**
 * What text that people type may consist of, for `z.string().regex(...oneLine)`. Postgres can store neither a zero character nor half
 * of a surrogate pair, and a supplier's ticket none of the other control characters. Pure.
 */
export const oneLine = [/^[^\p{Cc}\p{Cs}]*$/u, 'Must be one line of printable characters'] as const

/** The same with tabs and line breaks. */
export const printable = [/^(?:[^\p{Cc}\p{Cs}]|[\t\r\n])*$/u, 'Must be printable characters'] as const
