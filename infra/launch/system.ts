/**
 * The whole system on one machine: brought up in order (ports, backing services, databases, our processes, demo data,
 * edge) and taken down in reverse. Taking down may come at any moment of the bringing up.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { type Edge, startEdge } from '../edge/edge.ts'
import { releaseBackingServices } from './backing-services.ts'
import { listenOnContractPorts } from './contract-ports.ts'
import { openLog } from './daemon.ts'
import { demoBlock } from './demo-block.ts'
import { LOGS, ROOT } from './paths.ts'
import type { Prepared } from './prepare.ts'
import { lastError } from './process-log.ts'
import { neededPorts, type ProcessPlan, planProcesses, portOf, seedEnvironment } from './processes.ts'
import { longStep, Obstacle, say } from './say.ts'
import { loadSecrets } from './secrets.ts'
import { type Supervised, supervise } from './supervise.ts'
import { isPortFree, waitUntil } from './wait.ts'
import { watchSources } from './watch-sources.ts'

const WATCH_PARENT = new URL('watch-parent.ts', import.meta.url).href
const LEFTOVERS_END_WITHIN_MS = 6000
const HELPER_ENDS_WITHIN_MS = 3000

export type System = {
  /** Resolves when everything answers; rejects with an Obstacle. Called once. */
  bringUp: () => Promise<void>
  /** Stops whatever is up. */
  takeDown: () => Promise<void>
  /** Ends our processes at once, for somebody who presses Ctrl-C again. */
  kill: () => void
}

/** env: of the launcher. isWatching: processes start anew when their code changes. */
export function createSystem({ env, isWatching }: { env: NodeJS.ProcessEnv; isWatching: boolean }): System {
  const stages: Supervised[][] = []
  let watchers: (() => void)[] = []
  let helper: ChildProcess | undefined
  let edge: Edge | undefined
  let isGoingDown = false

  async function bringUp(): Promise<void> {
    const startedAt = performance.now()
    await requireFreePorts(env)
    const prepared = await prepare()
    const plans = planProcesses(env, prepared, loadSecrets())
    for (const stage of plans) await startStage(stage)
    await seed(plans.flat())
    const alsoAt = await openEdge()
    process.stdout.write(demoBlock({ ...addresses(), alsoAt, startedInMs: performance.now() - startedAt }))
  }

  async function prepare(): Promise<Prepared> {
    let answer = { obstacle: 'The preparations broke off: run it again.' } as Prepared | { obstacle: string }
    await runHelper([`${ROOT}/infra/launch/prepare.ts`, String(process.pid)], env, 'inherit', (message) => {
      answer = message as typeof answer
    })
    if ('obstacle' in answer) throw new Obstacle(answer.obstacle)
    return answer
  }

  async function startStage(plans: ProcessPlan[]): Promise<void> {
    if (isGoingDown) return
    await longStep(`starting ${plans.map(({ name }) => name).join(', ')}`, async () => {
      const stage = plans.map((plan) => supervise(plan))
      stages.push(stage)
      if (isWatching) watchers = watchers.concat(stage.map((supervised, i) => reloadOnChange(supervised, plans[i])))
      await Promise.all(stage.map(({ ready }) => ready))
    })
  }

  /** Demo tenant and operator, sample of stays; what is there already stays as it is. */
  async function seed(plans: ProcessPlan[]): Promise<void> {
    if (isGoingDown) return
    const path = `${LOGS}/seed.log`
    const log = openLog(path)
    const code = await longStep('seeding the demo data', () =>
      runHelper([`${ROOT}/command-api/src/seed.ts`], seedEnvironment(env, plans), log),
    ).finally(() => closeSync(log))
    if (code !== 0 && !isGoingDown)
      throw new Obstacle(
        `The demo data could not be seeded (${lastError(path) || `exit code ${code}`}): ${path} says more.`,
      )
  }

  /** Runs one short-lived process of ours to its end. Returns its exit code. */
  function runHelper(
    args: string[],
    helperEnv: NodeJS.ProcessEnv,
    output: 'inherit' | number,
    onMessage: (message: unknown) => void = () => {},
  ): Promise<number> {
    return new Promise((resolve) => {
      helper = spawn(process.execPath, ['--import', WATCH_PARENT, ...args], {
        cwd: ROOT,
        env: helperEnv,
        stdio: ['ignore', output, output, 'ipc'],
        detached: true,
      })
      helper.on('message', onMessage)
      helper.once('exit', (code) => {
        helper = undefined
        resolve(code ?? 1)
      })
    })
  }

  /** Ends the helper with whatever it runs (a build, an installation, initdb), so that nothing is started behind us. */
  async function endHelper(): Promise<void> {
    const ending = helper
    if (!ending) return
    killGroup(ending, 'SIGTERM')
    if (await waitUntil(() => helper !== ending, { withinMs: HELPER_ENDS_WITHIN_MS })) return
    killGroup(ending, 'SIGKILL')
    await waitUntil(() => helper !== ending, { withinMs: HELPER_ENDS_WITHIN_MS })
  }

  async function openEdge(): Promise<string[]> {
    if (isGoingDown) return []
    const { commandApiUrl, queryApiUrl } = addresses()
    const upstreams = { 'command-api': commandApiUrl, 'query-api': queryApiUrl }
    edge = await startEdge({ port: portOf('EDGE_PORT', env), host: env.EDGE_HOST || '127.0.0.1', upstreams })
    await edge.serveMetricsOn(portOf('EDGE_METRICS_PORT', env))
    return listenOnContractPorts(edge)
  }

  const addresses = () => ({
    url: edge?.url ?? '',
    commandApiUrl: `http://127.0.0.1:${portOf('COMMAND_API_PORT', env)}`,
    queryApiUrl: `http://127.0.0.1:${portOf('QUERY_API_PORT', env)}`,
    apiKey: env.COFFEECHAIN_API_KEY ?? 'test_cc_api_key_12345',
    operator: {
      email: env.OPERATOR_EMAIL || 'operator@portolan.example',
      password: env.OPERATOR_PASSWORD ? 'the one of OPERATOR_PASSWORD' : 'portolan-demo-operator',
    },
    logs: LOGS,
    today: new Date(),
  })

  async function takeDown(): Promise<void> {
    isGoingDown = true
    for (const close of watchers) close()
    await endHelper()
    await edge?.close()
    for (const stage of stages.toReversed()) await Promise.all(stage.map(({ stop }) => stop()))
    await releaseBackingServices()
  }

  function kill(): void {
    if (helper) killGroup(helper, 'SIGKILL')
    for (const { pid } of stages.flat()) {
      const id = pid()
      if (id !== undefined) process.kill(id, 'SIGKILL')
    }
  }

  return { bringUp, takeDown, kill }
}

/** The helper leads a process group of its own. */
function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // ended just now
  }
}

function reloadOnChange(supervised: Supervised, plan: ProcessPlan | undefined): () => void {
  const own = plan?.entry.split('/').slice(0, 2).join('/') ?? ''
  return watchSources(plan?.isOurs ? [own, 'schemas/src', 'infra/src'] : [own], () => {
    say(`· ${supervised.name} changed, starting it anew`)
    supervised.reload()
  })
}

/** Every port must be free before anything starts; what a killed launcher left behind gets a moment to end. */
async function requireFreePorts(env: NodeJS.ProcessEnv): Promise<void> {
  for (const { variable, port, purpose } of neededPorts(env)) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Obstacle(`${variable} must be a port number between 1 and 65535, not "${env[variable]}".`)
    if (await waitUntil(() => isPortFree(port), { withinMs: LEFTOVERS_END_WITHIN_MS, everyMs: 200 })) continue
    throw new Obstacle(
      `Port ${port}, where ${purpose} listens, is taken by another program: stop that program, or choose another port with ${variable}=…`,
    )
  }
}
