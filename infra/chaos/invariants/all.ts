/** The invariants in the order in which a reader of the report wants them: the log first, then what is made of it, then the outside. */
import type { Evidence, Invariant, Judgement } from '../evidence.ts'
import { acceptedCommandsEnd } from './accepted-commands-end.ts'
import { commandsAtomic } from './commands-atomic.ts'
import { kafkaHoldsTheLog } from './kafka-holds-the-log.ts'
import { ledgerAddsUp } from './ledger-adds-up.ts'
import { lossIsSaid } from './loss-is-said.ts'
import { nightsSoldOnce } from './nights-sold-once.ts'
import { noPersonalData } from './no-personal-data.ts'
import { nothingParked } from './nothing-parked.ts'
import { oneAnswerPerKey } from './one-answer-per-key.ts'
import { oneClaimPerCall } from './one-claim-per-call.ts'
import { oneOrderPerBooking } from './one-order-per-booking.ts'
import { overdueExpires } from './overdue-expires.ts'
import { partnerEqualsLedger } from './partner-equals-ledger.ts'
import { positionsDense } from './positions-dense.ts'
import { readModelsEqualRebuild } from './read-models-equal-rebuild.ts'
import { readYourWrites } from './read-your-writes.ts'
import { replayCallsNobody } from './replay-calls-nobody.ts'
import { streamsInOrder } from './streams-in-order.ts'
import { readWorld, type World } from './world.ts'

export const invariants: readonly Invariant[] = [
  positionsDense,
  streamsInOrder,
  commandsAtomic,
  kafkaHoldsTheLog,
  lossIsSaid,
  nothingParked,
  readModelsEqualRebuild,
  replayCallsNobody,
  readYourWrites,
  oneAnswerPerKey,
  acceptedCommandsEnd,
  overdueExpires,
  nightsSoldOnce,
  ledgerAddsUp,
  partnerEqualsLedger,
  oneOrderPerBooking,
  oneClaimPerCall,
  noPersonalData,
]

export type Verdict = Judgement & Pick<Invariant, 'name' | 'promises' | 'says'>

/** Reads the world as it stands and asks every invariant. Rejects when it cannot be read, for example while a server is away. */
export async function judge(evidence: Evidence): Promise<Verdict[]> {
  return judgeWorld(await readWorld(evidence))
}

/** Asks every invariant about a world that was read before. */
export async function judgeWorld(world: World): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  for (const { name, promises, says, check } of invariants)
    verdicts.push({ name, promises, says, ...(await check(world)) })
  return verdicts
}
