/**
 * Loaded with `node --import`: this process's wall clock is wrong by CHAOS_CLOCK_SHIFT_MS, as on a machine whose time was set badly.
 * Timers and performance.now() are not: they count, they do not tell the time.
 */
const shiftMs = Number(process.env.CHAOS_CLOCK_SHIFT_MS ?? 0)
const RealDate = Date
const now = () => RealDate.now() + shiftMs

globalThis.Date = class ShiftedDate extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now())
    else super(...args)
  }

  static now() {
    return now()
  }
}
