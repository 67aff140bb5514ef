/** B1's yardstick: pgbench with 100 clients and one transaction per reservation (reserve-yardstick.sql), as command-api's role on the same server. */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { findPostgresBin } from '../launch/own-postgres.ts'
import { quantile } from './quantile.ts'
import type { ReserveSystem } from './reserve-system.ts'

const run = promisify(execFile)

export interface YardstickRun {
  perSecond: number
  p50Ms: number
  p99Ms: number
}

/** Where a position comes from: of the head, which is held until the commit, as ours; or of a sequence, which promises no order of commits. */
const heads = {
  head: 'update yardstick_heads set position = position + 1 where partition = :partition returning position',
  sequence: `select nextval('yardstick') as position`,
} as const

/** What the yardstick writes to besides our tables, and the right to write to these directly; command-api does so through a function. */
export async function prepareYardstick({ admin }: ReserveSystem): Promise<void> {
  await admin.query(`
    grant insert on events to portolan_command_api;
    create sequence yardstick;
    grant usage on sequence yardstick to portolan_command_api;
    create table yardstick_heads (partition integer primary key, position bigint not null) with (fillfactor = 10);
    insert into yardstick_heads select p, 0 from generate_series(0, 15) p;
    grant select, update on yardstick_heads to portolan_command_api`)
}

/** The sequence starts where the heads end, so that both may run in turn. */
export async function runYardstick(
  { admin, databaseUrl, dir }: ReserveSystem,
  {
    positions,
    clients,
    seconds,
    properties,
  }: { positions: keyof typeof heads; clients: number; seconds: number; properties: number },
): Promise<YardstickRun> {
  await admin.query('checkpoint')
  // Of another range of positions than the heads: both write to the same partitions.
  await admin.query(`select setval('yardstick', greatest(500000, (select last_value from yardstick)))`)
  const folder = `${dir}/pgbench`
  mkdirSync(folder)
  const script = readFileSync(`${import.meta.dirname}/reserve-yardstick.sql`, 'utf8')
  writeFileSync(
    `${folder}/script.sql`,
    script.replace('@head@', heads[positions]).replace('@properties@', String(properties)),
  )
  const args = ['-n', '-M', 'prepared', '-c', String(clients), '-j', String(availableParallelism())]
  const { stdout } = await run(
    `${await findPostgresBin()}/pgbench`,
    [...args, '-T', String(seconds), '-l', '-f', `${folder}/script.sql`, databaseUrl],
    { cwd: folder, maxBuffer: 64 << 20 },
  )
  const logs = readdirSync(folder).filter((name) => name.startsWith('pgbench_log'))
  const durations = logs.flatMap((name) =>
    readFileSync(`${folder}/${name}`, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => Number(line.split(' ')[2]) / 1000),
  )
  rmSync(folder, { recursive: true })
  return {
    perSecond: Number(/tps = ([\d.]+)/.exec(stdout)?.[1]),
    p50Ms: quantile(durations, 0.5),
    p99Ms: quantile(durations, 0.99),
  }
}
