/**
 * The fault script of a stand-in: rules that change how the next calls of an operation are carried out and answered.
 *
 * A call meets the first rule whose operation and facts match it. The rule decides two independent things: whether the
 * operation is performed, and what the caller hears. That pair is what a client under test has to survive: "performed,
 * then silence" and "not performed, then silence" look the same from outside.
 */

/** What the caller hears instead of the real answer. A `body` of `undefined` means the service's own error body. */
export interface ScriptedAnswer {
  status: number
  /** Error code put into the service's own error body when no `body` is given, e.g. `order_not_created`. */
  code?: string
  body?: unknown
  headers?: Record<string, string>
}

export interface FaultRule {
  /** Operation name as in the counters (`deduct`, `orders.create`), or `*` for every operation. */
  operation: string
  /** Facts the call must have; every given member must be equal, nested objects as subsets. */
  match?: Record<string, unknown>
  /** How many calls the rule applies to; absent means until it is deleted. */
  times?: number
  effect: 'perform' | 'skip'
  /** Absent: the operation's own answer (only with `perform`). `hang`: silence. `reset`: the socket is destroyed. */
  answer?: ScriptedAnswer | 'hang' | 'reset'
  /** Milliseconds between the effect and the answer. */
  delayMs?: number
  /** Milliseconds before the effect; it happens even when the caller has gone away meanwhile. */
  effectDelayMs?: number
}

export interface FaultScript {
  /** Replaces nothing: rules are added behind those that are still there. */
  add(rules: FaultRule[]): void
  /** The rule this call meets, counted down; undefined when none matches. */
  take(operation: string, facts: Record<string, unknown>): FaultRule | undefined
  /** Rules still in force, `times` as left over. */
  list(): FaultRule[]
  clear(): void
}

/** Creates an empty fault script. */
export function createFaultScript(): FaultScript {
  let rules: FaultRule[] = []
  return {
    add: (more) => {
      rules.push(...more.map((rule) => ({ ...rule })))
    },
    take: (operation, facts) => {
      const rule = rules.find(
        (candidate) =>
          (candidate.operation === operation || candidate.operation === '*') && isSubset(candidate.match ?? {}, facts),
      )
      if (rule?.times !== undefined) {
        rule.times -= 1
        rules = rules.filter((candidate) => candidate.times !== 0)
      }
      return rule
    },
    list: () => rules,
    clear: () => {
      rules = []
    },
  }
}

/**
 * Reads the body of `POST /_sandbox/faults`: a list of rules, or `{rules: [...]}`.
 *
 * operations: the names this service knows; an unknown one is refused, because a misspelt rule would silently test nothing.
 * Returns the rules, or one sentence that says what is wrong.
 */
export function readFaultRules(body: unknown, operations: readonly string[]): FaultRule[] | string {
  const list = Array.isArray(body) ? body : isRecord(body) ? body.rules : undefined
  if (!Array.isArray(list)) return 'expected a list of rules, or {"rules": [...]}'
  const rules: FaultRule[] = []
  for (const [index, entry] of list.entries()) {
    const rule = readRule(entry, operations)
    if (typeof rule === 'string') return `rule ${index}: ${rule}`
    rules.push(rule)
  }
  return rules
}

const RULE_MEMBERS = ['operation', 'match', 'times', 'effect', 'answer', 'delayMs', 'effectDelayMs']

function readRule(entry: unknown, operations: readonly string[]): FaultRule | string {
  if (!isRecord(entry)) return 'not an object'
  const unknown = Object.keys(entry).find((key) => !RULE_MEMBERS.includes(key))
  if (unknown !== undefined) return `unknown member ${unknown}`
  const { operation, match, times, effect, answer, delayMs, effectDelayMs } = entry
  if (typeof operation !== 'string' || (operation !== '*' && !operations.includes(operation)))
    return `operation must be one of ${operations.join(', ')} or *`
  if (match !== undefined && !isRecord(match)) return 'match must be an object'
  if (times !== undefined && !(Number.isInteger(times) && Number(times) > 0)) return 'times must be a positive integer'
  if (effect !== 'perform' && effect !== 'skip') return 'effect must be perform or skip'
  if (answer === undefined && effect === 'skip') return 'a skipped operation needs an answer'
  if (answer !== undefined && answer !== 'hang' && answer !== 'reset' && !isScriptedAnswer(answer))
    return 'answer must be hang, reset or an object with a status between 100 and 599'
  if (!isDelay(delayMs) || !isDelay(effectDelayMs)) return 'delays must be milliseconds from 0 to 60000'
  return { operation, match, times: times as number | undefined, effect, answer, delayMs, effectDelayMs }
}

function isScriptedAnswer(value: unknown): value is ScriptedAnswer {
  return isRecord(value) && Number.isInteger(value.status) && Number(value.status) >= 100 && Number(value.status) < 600
}

function isDelay(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && value >= 0 && value <= 60_000)
}

function isSubset(wanted: unknown, actual: unknown): boolean {
  if (!isRecord(wanted)) return wanted === actual
  return isRecord(actual) && Object.entries(wanted).every(([key, value]) => isSubset(value, actual[key]))
}

/** Whether a value is a plain JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
