/** Rows as an operator reads them: aligned columns, or JSON for a program. */

export type Row = Readonly<Record<string, string | number | boolean | null>>

/** An aligned table with a line of headings; a sentence when there are no rows. */
export function table(rows: readonly Row[], none: string): string {
  const [first] = rows
  if (!first) return none
  const columns = Object.keys(first)
  const cells = rows.map((row) => columns.map((column) => text(row[column])))
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((row) => row[i]?.length ?? 0)))
  const isNumber = columns.map((column) => rows.every((row) => typeof row[column] === 'number' || row[column] === null))
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return [line(columns), ...cells.map(line)].join('\n')
}

function text(value: Row[string] | undefined): string {
  return value === null || value === undefined ? '-' : String(value).replaceAll(/\s+/g, ' ')
}
