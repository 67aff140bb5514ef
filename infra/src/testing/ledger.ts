/** The ledger's invariants (P7), for the end of every test that moves anything. */
import { AssertionError } from 'node:assert'
import pg from 'pg'

export interface LedgerBalance {
  tenantId: string
  account: string
  currency: string
  balance: number
}

/**
 * Asserts on the live ledger that each event's lines add up to 0, each currency adds up to 0, and each balance is the sum
 * of its lines. readUrl: the read database as its administrator, who sees every tenant. Returns the balances that are
 * not 0, by tenant and account.
 */
export async function expectLedgerBalanced(readUrl: string): Promise<LedgerBalance[]> {
  const client = new pg.Client({ connectionString: readUrl })
  await client.connect()
  try {
    // One snapshot for all questions.
    await client.query('begin isolation level repeatable read read only')
    await expectNoRows(
      client,
      'lines of one event do not add up to 0',
      `select tenant_id, stream, stream_version, currency, sum(amount) from read_models.ledger_lines
       group by tenant_id, stream, stream_version, currency having sum(amount) <> 0`,
    )
    await expectNoRows(
      client,
      'a balance is not the sum of its lines',
      `select tenant_id, account, currency, b.balance, l.balance as lines
       from (select tenant_id, account, currency, sum(balance) as balance, sum(line_count) as line_count
             from read_models.ledger_balances group by tenant_id, account, currency) b
       full join (select tenant_id, account, currency, sum(amount) as balance, count(*) as line_count
             from read_models.ledger_lines group by tenant_id, account, currency) l using (tenant_id, account, currency)
       where b.balance is distinct from l.balance or b.line_count is distinct from l.line_count`,
    )
    await expectNoRows(
      client,
      'a currency does not add up to 0',
      'select currency, sum(balance) from read_models.ledger_balances group by currency having sum(balance) <> 0',
    )
    const { rows } = await client.query<{ tenant_id: string; account: string; currency: string; balance: string }>(
      `select tenant_id, account, currency, sum(balance) as balance from read_models.ledger_balances
       group by tenant_id, account, currency having sum(balance) <> 0 order by tenant_id, account, currency`,
    )
    return rows.map((row) => ({
      tenantId: row.tenant_id,
      account: row.account,
      currency: row.currency,
      balance: Number(row.balance),
    }))
  } finally {
    await client.end()
  }
}

async function expectNoRows(client: pg.Client, message: string, query: string): Promise<void> {
  const { rows } = await client.query(query)
  if (rows.length > 0) throw new AssertionError({ message: `${message}: ${JSON.stringify(rows.slice(0, 5))}` })
}
