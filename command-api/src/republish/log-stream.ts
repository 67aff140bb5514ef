/** The log's own stream: which generation it is of, and which one an operator is preparing. */
import { type LogEvent, logEvents } from '@portolan/schemas/log/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { StreamType } from '../event-store/stream-type.ts'

export interface LogState {
  /** The newest generation that began. */
  generation: number
  /** The one that is being prepared; null: none is. */
  preparing: number | null
}

export const logStreamType: StreamType<LogState, LogEvent> = {
  topic: topics.staff,
  catalogue: logEvents,
  initialState: () => ({ generation: 1, preparing: null }),
  evolve: (state, { type, data }) =>
    type === 'LogRepublicationStarted'
      ? { ...state, preparing: data.generation }
      : { generation: data.generation, preparing: null },
}

/** Starts preparing a generation; [] when that was done before. */
export function startRepublication(
  state: LogState,
  command: { generation: number; by: string; reason: string },
  now: string,
): LogEvent[] {
  if (state.preparing === command.generation) return []
  return [{ type: 'LogRepublicationStarted', data: { ...command, at: now } }]
}

/** Begins a generation; [] when it has begun. */
export function beginGeneration(
  state: LogState,
  command: { generation: number; by: string; lostEvents: number; markedBookings: number; markedMembers: number },
  now: string,
): LogEvent[] {
  if (state.generation >= command.generation) return []
  return [{ type: 'LogGenerationBegun', data: { ...command, at: now } }]
}
