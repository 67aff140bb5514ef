/** What the store must know about a kind of stream to load it, fold it, and run its process manager after each decision. */
import type { EventCatalogue } from '@portolan/schemas/event-catalogue.ts'
import type { OpenStep, WantedStep } from '@portolan/schemas/steps.ts'
import type { TopicName } from '@portolan/schemas/topics.ts'

/** For streams that grow for ever: see snapshots.ts. */
export interface SnapshotRules<State> {
  /** Raised whenever `evolve` makes another state of the same events; states of other numbers are ignored and made again. */
  schema: number
  /** A new snapshot is taken once so many events lie behind the last one. */
  everyEvents: number
  /** The state from its JSON; null when it does not fit, and then the stream is folded from its beginning. */
  read(json: unknown): State | null
}

export interface StreamType<State, Event extends { type: string; data: unknown }> {
  topic: TopicName
  catalogue: EventCatalogue
  initialState(): State
  /** Pure fold of one event in its current version. Never throws. */
  evolve(state: State, event: Event): State
  /** The process manager: every step wanted in this state. Absent for streams without steps. */
  next?(state: State): WantedStep[]
  /** The steps that are open in this state, by name. Present exactly when `next` is. */
  openSteps?(state: State): OpenStep[]
  /** Absent: the stream stays short, and is always loaded whole. */
  snapshots?: SnapshotRules<State>
}
