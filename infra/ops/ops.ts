/**
 * The operator's command line: `npm run ops -- <command>`. Tables go to stdout, sentences to stderr.
 * Exit code 0: done and good; 1: done with something to look at, or not possible; 2: the command was not understood.
 */
import { parseArgs } from 'node:util'
import { say } from '../launch/say.ts'
import type { Command } from './command.ts'
import { connect } from './connect.ts'
import { forgetCommands } from './forget-commands.ts'
import { importCommands } from './import-commands.ts'
import { logCommands } from './log-commands.ts'
import { nightsCommands } from './nights-commands.ts'
import { outcomeCommands } from './outcome-commands.ts'
import { parkedCommands } from './parked-commands.ts'
import { rebuildCommands } from './rebuild-commands.ts'
import { republishCommands } from './republish-commands.ts'
import { staffCommands } from './staff-commands.ts'
import { table } from './table.ts'

const commands: readonly Command[] = [
  ...logCommands,
  ...outcomeCommands,
  ...republishCommands,
  ...parkedCommands,
  ...rebuildCommands,
  ...forgetCommands,
  ...staffCommands,
  ...nightsCommands,
  ...importCommands,
]

const options = {
  tenant: { type: 'string' },
  limit: { type: 'string', default: '100' },
  data: { type: 'boolean', default: false },
  yes: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  'as-is': { type: 'boolean', default: false },
  refused: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Runs one command line. Returns the exit code; rejects with an Obstacle when something has to be mended first. */
export async function ops(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const parsed = parse(args)
  if (typeof parsed === 'string') return misunderstood(parsed)
  const { values, positionals } = parsed
  if (values.help || positionals.length === 0) {
    process.stdout.write(`${help()}\n`)
    return values.help ? 0 : 2
  }
  const command = commands.find(({ name }) => name.split(' ').every((word, nth) => positionals[nth] === word))
  if (!command) return misunderstood(`There is no command ${positionals[0]}.`)
  const given = positionals.slice(command.name.split(' ').length)
  const required = command.takes.filter((argument) => argument.startsWith('<')).length
  if (given.length < required || given.length > command.takes.length) return misunderstood(`Usage: ${usage(command)}`)
  const limit = Number(values.limit)
  if (!Number.isInteger(limit) || limit < 1 || limit > 100_000)
    return misunderstood('--limit takes a number from 1 to 100000.')
  const { tenant, 'as-is': asIs, refused: refusedFile } = values
  return run(command, { ...values, values: given, tenant, limit, asIs, refusedFile }, values.json, env)
}

async function run(command: Command, args: Parameters<Command['run']>[1], isJson: boolean, env: NodeJS.ProcessEnv) {
  const connections = await connect(env)
  try {
    const { rows, none = 'nothing', notes = [], isGood = true } = await command.run(connections, args)
    if (rows) process.stdout.write(`${isJson ? JSON.stringify(rows, null, 2) : table(rows, none)}\n`)
    for (const note of notes) say(note)
    return isGood ? 0 : 1
  } finally {
    await connections.close()
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    return (error as Error).message
  }
}

function misunderstood(sentence: string): number {
  say(`✗ ${sentence} \`npm run ops -- --help\` lists the commands.`)
  return 2
}

const usage = ({ name, takes }: Command): string => ['npm run ops --', name, ...takes].join(' ')

function help(): string {
  const left = (command: Command) => [command.name, ...command.takes].join(' ')
  const width = Math.max(...commands.map((command) => left(command).length))
  return [
    'npm run ops -- <command> [options]',
    '',
    ...commands.map((command) => `  ${left(command).padEnd(width)}  ${command.help}`),
    '',
    '  --tenant <id>   only this tenant',
    '  --limit <n>     at most so many rows (100)',
    '  --data          with `events`: what they hold',
    '  --yes           do what the command has said that it will do',
    '  --as-is         with `stays import`: take nights of other loaded rows a second time, never those of a guest',
    '  --refused <f>   with `stays import`: all refused rows into this file, as JSON lines',
    '  --json          rows as JSON',
  ].join('\n')
}
