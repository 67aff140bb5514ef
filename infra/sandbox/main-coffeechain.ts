import { startCoffeeChain } from './coffeechain.ts'
import { numberFrom, runSandbox } from './run.ts'

const { env } = process

await runSandbox('sandbox-coffeechain', async () =>
  startCoffeeChain({
    port: numberFrom(env, 'SANDBOX_COFFEECHAIN_PORT', 8001),
    host: env.SANDBOX_HOST,
    apiTimeoutSeconds: numberFrom(env, 'SANDBOX_API_TIMEOUT_SECONDS', 35),
    hangSecondsMax: numberFrom(env, 'SANDBOX_HANG_SECONDS', 60),
  }),
)
