import type { Invariant, Violation } from '../evidence.ts'
import type { LedgerRow } from './world.ts'

/** P7: double entry. */
export const ledgerAddsUp: Invariant = {
  name: 'ledger-adds-up',
  promises: ['P7'],
  says: 'the lines of each event add up to 0, so does each currency, each balance is the sum of its lines, and each settled movement has its lines',
  check: ({ readSide, store }) => {
    const violations: Violation[] = []
    for (const [key, lines] of Map.groupBy(readSide.lines, eventOf)) {
      if (sum(lines) !== 0) violations.push({ what: `the lines of ${key} add up to ${sum(lines)}` })
    }
    for (const [currency, lines] of Map.groupBy(readSide.lines, (line) => line.currency)) {
      if (sum(lines) !== 0) violations.push({ what: `the lines in ${currency} add up to ${sum(lines)}` })
    }
    const byAccount = Map.groupBy(readSide.lines, accountOf)
    const balances = new Map(readSide.balances.map((row) => [accountOf(row), row]))
    for (const key of new Set([...byAccount.keys(), ...balances.keys()])) {
      const lines = byAccount.get(key) ?? []
      const balance = balances.get(key)
      if (balance?.balance !== sum(lines) || balance.lineCount !== lines.length)
        violations.push({
          what: `${key}: the balance is ${balance?.balance} of ${balance?.lineCount} lines, the lines say ${sum(lines)} of ${lines.length}`,
        })
    }
    const posted = new Set(readSide.lines.map(eventOf))
    const moved = store.events.filter(({ type, stream }) => moving.has(type) && stream.startsWith('member-account-'))
    for (const event of moved) {
      if (!posted.has(eventOf(event))) violations.push({ what: `${event.type} ${eventOf(event)} has no lines` })
    }
    return { violations, notes: [] }
  },
}

/** Events of a member's account that move something. */
const moving = new Set(['MovementSettled', 'RefundOwed', 'OwedRefundSettled'])
const sum = (lines: readonly LedgerRow[]) => lines.reduce((total, { amount }) => total + amount, 0)
const eventOf = (at: { tenantId: string; stream: string; streamVersion: number }) =>
  `${at.tenantId} ${at.stream}@${at.streamVersion}`
const accountOf = (at: { tenantId: string; account: string; currency: string }) =>
  `${at.tenantId} ${at.account} ${at.currency}`
