import type { Invariant } from '../evidence.ts'
import { behindIn } from './behind.ts'

/** P4, and P3 with it: an event applied twice, skipped or in another order would show. */
export const readModelsEqualRebuild: Invariant = {
  name: 'read-models-equal-rebuild',
  promises: ['P3', 'P4'],
  says: 'every read model has reached the end of the log and equals what a rebuild from it gives',
  check: ({ rebuilt, readSide, store }) => {
    const different = rebuilt.projections.flatMap(({ name, tables, isEqual, said }) => {
      const rows = tables.filter((row) => row.different + row.only_here + row.only_there + row.on_the_way > 0)
      if (isEqual && rows.length === 0) return []
      return [{ what: `${name} differs from its rebuild: ${JSON.stringify(rows)}`, details: said }]
    })
    const live = Map.groupBy(readSide.checkpoints, ({ projection }) => projection)
    const behind = rebuilt.projections.flatMap(({ name }) => {
      const own = live.get(name) ?? []
      if (own.length === 0) return [{ what: `${name} has not begun` }]
      const where = behindIn(store, own)
      if (where.length === 0) return []
      return [{ what: `${name} is not at the end of generation ${store.generation} in ${where.join(', ')}` }]
    })
    return { violations: [...different, ...behind], notes: [] }
  },
}
