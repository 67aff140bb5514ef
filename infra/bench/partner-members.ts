/** Members of the benchmark's tenant at the partner's stand-in. */
import type { SendHttp } from './bench-http.ts'
import { memberIdOf } from './bench-member.ts'

/** Stars; enough for any run, and exact as a number. */
const BALANCE = 1_000_000_000

/** Makes members 0 to count - 1 known to the stand-in. */
export async function addPartnerMembers(send: SendHttp, coffeechainUrl: string, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const body = { member_id: memberIdOf(n), balance: BALANCE }
    const { status, text } = await send(`${coffeechainUrl}/_sandbox/members`, { body })
    if (status >= 300) throw new Error(`the stand-in does not take members: ${status} ${text}`)
  }
}
