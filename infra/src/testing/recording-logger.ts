/** A logger that prints nothing and keeps its lines for a test to look at. */
import type { LogFields, Logger } from '../log.ts'

export interface LoggedLine {
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
  fields: LogFields
}

export interface RecordingLogger extends Logger {
  /** Of this logger and its children, oldest first. */
  lines: LoggedLine[]
}

/** Creates one; children record into the same list, with their fields. */
export function createRecordingLogger(lines: LoggedLine[] = [], inherited: LogFields = {}): RecordingLogger {
  const at =
    (level: LoggedLine['level']) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ level, message, fields: { ...inherited, ...fields } })
    }
  return {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => createRecordingLogger(lines, { ...inherited, ...fields }),
  }
}
