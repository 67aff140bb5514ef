/** Loads an existing reference database of stays, through command-api, which decides about every row. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { type LoadAnswer, loadAnswerSchema } from '@portolan/schemas/stays/loading.ts'
import { Obstacle } from '../launch/say.ts'
import type { Command } from './command.ts'
import type { AsOperator } from './operator-client.ts'
import { createProgressBar } from './progress-bar.ts'
import { openStaysSource, type SourceProperty, type SourceReservation } from './stays-source.ts'
import type { Row } from './table.ts'

const staysImport: Command = {
  name: 'stays import',
  takes: ['<postgres url>'],
  help: 'loads property and reservation of a reference database, gives ids, lists what it refuses; run again, it loads the rest',
  async run({ asOperator }, { values: [url = ''], limit, asIs = false, refusedFile }) {
    const refusals = collectRefusals(limit, refusedFile)
    const source = await openStaysSource(url)
    const bar = createProgressBar(source.total, 'rows')
    const counts = { loaded: 0, present: 0 }
    const done = (answer: LoadAnswer) => {
      counts.loaded += answer.loaded
      counts.present += answer.present
      bar.show(counts.loaded + counts.present + refusals.count(), `${refusals.count()} refused`)
    }
    try {
      bar.show(0)
      for await (const rows of source.properties()) {
        const answer = await load(asOperator, { asIs, properties: rows })
        refusals.add('property', rows, answer)
        done(answer)
      }
      for await (const rows of source.reservations()) {
        const answer = await load(asOperator, { asIs, reservations: rows })
        refusals.add('reservation', rows, answer)
        done(answer)
      }
    } finally {
      bar.end()
      refusals.close()
      await source.close()
    }
    const count = refusals.count()
    const rest = count > limit ? [`the first ${limit} of them; --limit shows more, --refused <file> keeps all`] : []
    return {
      rows: refusals.first,
      none: 'no row was refused',
      notes: [`${counts.loaded} rows loaded, ${counts.present} there already, ${count} refused`, ...rest],
      isGood: count === 0,
    }
  },
}

async function load(asOperator: AsOperator, body: object): Promise<LoadAnswer> {
  try {
    return loadAnswerSchema.parse(await asOperator('/ops/stays/load', body))
  } catch (error) {
    if (!(error instanceof Obstacle)) throw error
    // No row is loaded twice, so that here it does not matter whether this request was carried out.
    throw new Obstacle(`${error.message} What was loaded stays; the same import again loads the rest.`)
  }
}

/** limit: rows that are kept to be shown. file: takes all of them, as JSON lines. */
function collectRefusals(limit: number, file: string | undefined) {
  const output = file === undefined ? null : openFile(file)
  const first: Row[] = []
  let count = 0
  return {
    first,
    count: () => count,
    add(table: string, rows: readonly (SourceProperty | SourceReservation)[], { refused }: LoadAnswer) {
      for (const { row, code, reason } of refused) {
        const source = rows[row]
        const entry = { table, property: source?.propertyId ?? null, ...periodOf(source), code, reason }
        count += 1
        if (count <= limit) first.push(entry)
        if (output !== null) writeSync(output, `${JSON.stringify(entry)}\n`)
      }
    },
    close() {
      if (output !== null) closeSync(output)
    },
  }
}

function periodOf(row: SourceProperty | SourceReservation | undefined) {
  if (!row || !('startDate' in row)) return { start: null, nights: null }
  return { start: row.startDate, nights: row.nights }
}

function openFile(path: string): number {
  try {
    return openSync(path, 'w')
  } catch (error) {
    throw new Obstacle(`The refused rows cannot be written to ${path} (${(error as Error).message}).`)
  }
}

export const importCommands: readonly Command[] = [staysImport]
