/** The control surface of a stand-in, as tests use it: counters, fault scripts, state. */
import type { StartedProcess } from '@portolan/infra/testing/start-process.ts'

export interface FaultRule {
  operation: string
  match?: Record<string, unknown>
  times?: number
  effect: 'perform' | 'skip'
  answer?: { status: number; body?: unknown; headers?: Record<string, string> } | 'hang' | 'reset'
  delayMs?: number
  /** Before the effect, which happens even when the caller has gone away meanwhile. */
  effectDelayMs?: number
}

export interface SandboxControl {
  process: StartedProcess
  url: string
  /** By operation: how often it was called, and how often it took effect. */
  counters(): Promise<{ calls: Record<string, number>; effects: Record<string, number> }>
  setFaults(rules: FaultRule[]): Promise<void>
  clearFaults(): Promise<void>
  state(): Promise<Record<string, unknown>>
  /** CoffeeChain only. */
  addMember(memberId: string, balance: number): Promise<void>
  balance(memberId: string): Promise<number>
}

/** Talks to `/_sandbox/*` of a running stand-in. */
export function createSandboxControl(process: StartedProcess): SandboxControl {
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${process.url}/_sandbox/${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text ? JSON.parse(text) : undefined
  }
  return {
    process,
    url: process.url,
    counters: async () => (await call('GET', 'counters')) as Awaited<ReturnType<SandboxControl['counters']>>,
    setFaults: async (rules) => void (await call('POST', 'faults', { rules })),
    clearFaults: async () => void (await call('DELETE', 'faults')),
    state: async () => (await call('GET', 'state')) as Record<string, unknown>,
    addMember: async (memberId, balance) => void (await call('POST', 'members', { member_id: memberId, balance })),
    async balance(memberId) {
      const { members } = (await call('GET', `state?memberId=${memberId}`)) as {
        members: Record<string, { balance: number }>
      }
      const member = members[memberId]
      if (!member) throw new Error(`the partner does not know ${memberId}`)
      return member.balance
    },
  }
}
