/** Rebuilding a read model beside the live one: build, compare, switch, give up. Reads never stop. */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { Obstacle, say } from '../launch/say.ts'
import type { Command, Outcome } from './command.ts'
import { compareVersions, isEqual } from './compare-versions.ts'
import type { Row } from './table.ts'

const lookEveryMs = 500
const noProgressMs = 20_000
const switchAttemptsMax = 5
/** Postgres' conditions. */
const notInState = '55000'
const lockNotAvailable = '55P03'

const versions: Command = {
  name: 'versions',
  takes: [],
  help: 'versions of every projection: live, building, standby, retired',
  async run({ read }) {
    const { rows } = await read.query<Row>(
      `select name as projection, version, status, to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as created
       from projection_versions order by name, version`,
    )
    return { rows }
  },
}

const rebuild: Command = {
  name: 'rebuild',
  takes: ['<projection>'],
  help: 'builds the next version from the log beside the live one, shows progress, and compares both',
  async run({ read }, { values: [name = ''] }) {
    const live = await liveVersion(read, name)
    const { rows } = await read.query<{ version: number }>('select create_projection_version($1) as version', [name])
    const version = rows[0]?.version ?? 0
    say(`· building ${name}.v${version} from the beginning of the log …`)
    await untilCaughtUp(read, name, live, version)
    const { isGood, notes = [], rows: compared } = await compareWithLive(read, name, live, version)
    const next = isGood
      ? `equal: \`npm run ops -- switch ${name} ${version}\` makes it live, \`retire ${name} ${version}\` gives it up`
      : `not equal: \`npm run ops -- retire ${name} ${version}\` gives it up`
    return { rows: compared, isGood, notes: [...notes, next] }
  },
}

const compare: Command = {
  name: 'compare',
  takes: ['<projection>', '<version>'],
  help: 'compares a version row by row with the live one',
  async run({ read }, { values: [name = '', version = ''] }) {
    const live = await liveVersion(read, name)
    return compareWithLive(read, name, live, await existingVersion(read, name, version))
  },
}

const switchTo: Command = {
  name: 'switch',
  takes: ['<projection>', '<version>'],
  help: 'makes a version the live one at once; the old one goes on consuming, so that you can switch back',
  async run({ read }, { values: [name = '', given = ''] }) {
    const version = await existingVersion(read, name, given)
    await refusalAsObstacle(switchPatiently(read, name, version))
    return { notes: [`${name}.v${version} is live`] }
  },
}

const retire: Command = {
  name: 'retire',
  takes: ['<projection>', '<version>'],
  help: 'gives up a version that is not live and drops its tables',
  async run({ read }, { values: [name = '', given = ''] }) {
    const version = await existingVersion(read, name, given)
    await refusalAsObstacle(read.query('select retire_projection_version($1, $2)', [name, version]))
    return { notes: [`${name}.v${version} is retired, its tables are gone`] }
  },
}

/** Readers that hold the views for long, or a version that is a moment behind, are no reason to give up at once. */
async function switchPatiently(read: pg.Client, name: string, version: number): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await read.query('select switch_projection($1, $2)', [name, version])
      return
    } catch (error) {
      const { code } = error as { code?: string }
      if (attempt === switchAttemptsMax || (code !== lockNotAvailable && code !== notInState)) throw error
      await sleep(lookEveryMs)
    }
  }
}

/** What the database's functions refuse is said as they say it. */
async function refusalAsObstacle(query: Promise<unknown>): Promise<void> {
  try {
    await query
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code === 'P0002' || code === '02000' || code === notInState || code === lockNotAvailable)
      throw new Obstacle(`${message}.`)
    throw error
  }
}

async function liveVersion(read: pg.Client, name: string): Promise<number> {
  const { rows } = await read.query<{ name: string; version: number }>(
    "select name, version from projection_versions where status = 'live' order by name",
  )
  const live = rows.find((row) => row.name === name)
  if (!live) throw new Obstacle(`There is no projection ${name}: say one of ${rows.map((row) => row.name).join(', ')}.`)
  return live.version
}

async function existingVersion(read: pg.Client, name: string, given: string): Promise<number> {
  const { rows } = await read.query<{ version: number }>(
    "select version from projection_versions where name = $1 and status <> 'retired' order by version",
    [name],
  )
  const version = rows.find((row) => String(row.version) === given.replace(/^v/, ''))?.version
  if (version === undefined)
    throw new Obstacle(`${name} has no version ${given}: \`npm run ops -- versions\` lists them.`)
  return version
}

/** Says how far the build is until no partition is behind the live version. */
async function untilCaughtUp(read: pg.Client, name: string, live: number, version: number): Promise<void> {
  let applied = -1
  let movedAt = performance.now()
  for (;;) {
    const { rows } = await read.query<{ applied: number; wanted: number; behind: number }>(
      `select coalesce(sum(new.position), 0)::bigint as applied, coalesce(sum(old.position), 0)::bigint as wanted,
         count(*) filter (where old.position > coalesce(new.position, 0)) as behind
       from projection_checkpoints old
       left join projection_checkpoints new on new.projection = old.projection and new.version = $3
         and (new.topic, new.generation, new.partition) = (old.topic, old.generation, old.partition)
       where old.projection = $1 and old.version = $2`,
      [name, live, version],
    )
    const [row] = rows
    if (!row) throw new Error('an aggregate has one row')
    if (row.behind === 0) return say(`· ${row.applied} of ${row.wanted} events, caught up`)
    if (row.applied !== applied) {
      applied = row.applied
      movedAt = performance.now()
      say(`· ${row.applied} of ${row.wanted} events (${Math.floor((100 * row.applied) / Math.max(1, row.wanted))} %)`)
    } else if (performance.now() - movedAt > noProgressMs) {
      throw new Obstacle(
        `${name}.v${version} does not move: is the projections process running? \`lag\` shows when it goes on.`,
      )
    }
    await sleep(lookEveryMs)
  }
}

async function compareWithLive(read: pg.Client, name: string, live: number, version: number): Promise<Outcome> {
  const onProgress = (table: string, count: number) => say(`· ${table}: ${count} rows compared`)
  const rows = await compareVersions(read, { name, here: live, there: version }, { onProgress })
  // Where only the new version is parked its row stays behind: not comparable for ever, so not equal.
  const parked = await read.query<{ streams: number }>(
    `select count(*) as streams from parked_streams new
     where projection = $1 and version = $3 and not exists (
       select from parked_streams old
       where old.projection = $1 and old.version = $2 and (old.tenant_id, old.stream) = (new.tenant_id, new.stream))`,
    [name, live, version],
  )
  const streams = parked.rows[0]?.streams ?? 0
  const moving = rows.reduce((sum, { on_the_way }) => sum + on_the_way, 0)
  const cut = rows.filter(({ complete }) => !complete).map(({ table }) => table)
  const notes = [
    ...(cut.length > 0 ? [`so much differs in ${cut.join(' and ')} that the rest was not compared`] : []),
    ...(streams > 0 ? [`${streams} streams are parked in ${name}.v${version} only: \`npm run ops -- parked\``] : []),
    ...(moving > 0
      ? [`${moving} rows were never at the same version in both: behind for good, or changing all the time`]
      : []),
  ]
  return { rows, notes, isGood: rows.every(isEqual) && streams === 0 }
}

export const rebuildCommands: readonly Command[] = [versions, rebuild, compare, switchTo, retire]
