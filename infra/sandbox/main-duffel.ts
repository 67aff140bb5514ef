import { startDuffel } from './duffel.ts'
import { numberFrom, runSandbox } from './run.ts'

const { env } = process

await runSandbox('sandbox-duffel', async () =>
  startDuffel({
    port: numberFrom(env, 'SANDBOX_DUFFEL_PORT', 8010),
    host: env.SANDBOX_HOST,
    seed: env.SANDBOX_SEED,
    offerTtlSeconds: numberFrom(env, 'SANDBOX_OFFER_TTL_SECONDS', 1800),
    shortOfferTtlSeconds: numberFrom(env, 'SANDBOX_SHORT_OFFER_TTL_SECONDS', 5),
    holdTtlSeconds: numberFrom(env, 'SANDBOX_HOLD_TTL_SECONDS', 72 * 3600),
    asyncDelaySeconds: numberFrom(env, 'SANDBOX_ASYNC_DELAY_SECONDS', 5),
    slowSeconds: numberFrom(env, 'SANDBOX_SLOW_SECONDS', 5),
    hangSecondsMax: numberFrom(env, 'SANDBOX_HANG_SECONDS', 60),
    webhooks:
      env.SANDBOX_WEBHOOK_URL && env.SANDBOX_WEBHOOK_SECRET
        ? [{ url: env.SANDBOX_WEBHOOK_URL, secret: env.SANDBOX_WEBHOOK_SECRET }]
        : [],
  }),
)
