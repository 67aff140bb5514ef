/** Test-only: query-api as it runs, over rows written directly and neighbours (command-api, workers) whose answers a test decides. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createWrittenPositions, type WrittenPositions } from '@portolan/infra/consistency-token.ts'
import type { IntrospectionAnswer, IntrospectionRequest } from '@portolan/infra/http/credentials.ts'
import { createLogger } from '@portolan/infra/log.ts'
import { createRedis, redisIsReady } from '@portolan/infra/redis.ts'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { sampleData } from '@portolan/infra/testing/samples.ts'
import type { BookingDetails } from '@portolan/schemas/bookings/read-models.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { Redis } from 'ioredis'
import pg from 'pg'
import { queryApiConfigSchema } from './config.ts'
import { start } from './main.ts'

export const apiKey = 'key'
const logger = createLogger({ process: 'test', level: process.env.LOG_LEVEL ?? 'none' })
const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'

export interface Neighbours {
  /** null: command-api hangs. */
  isReady: boolean | null
  suppliers: Record<string, 'healthy' | 'unhealthy'> | null
  canUnseal: boolean
  forgotten: Set<string>
  requestsPerMinute: number
}

export interface QueryFixture {
  database: TestDatabase
  admin: pg.Client
  redis: Redis
  written: WrittenPositions
  neighbours: Neighbours
  /** A process of its own on the same stores. */
  startProcess(settings?: Record<string, unknown>): Promise<{ url: string; stop(): Promise<void> }>
  /** Inserts a booking into both read models. */
  insertBooking(tenantId: string, changes: Partial<BookingDetails>): Promise<BookingDetails>
  /** Says that the live versions of these models have applied the partition up to a position. */
  reach(models: readonly string[], topic: string, partition: number, position: number): Promise<void>
  close(): Promise<void>
}

export async function queryFixture(): Promise<QueryFixture> {
  const database = await testDatabase('read')
  const admin = new pg.Client(database.adminUrl)
  await admin.connect()
  const redis = createRedis(redisUrl, 'command', logger)
  await redisIsReady(redis, 5000)
  const keyPrefix = `${database.name}:`
  const neighbours: Neighbours = {
    isReady: true,
    suppliers: { duffel_api: 'healthy', coffeechain_api: 'healthy' },
    canUnseal: true,
    forgotten: new Set(),
    requestsPerMinute: 1000,
  }
  const server = await neighbourServer(neighbours)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    database,
    admin,
    redis,
    neighbours,
    written: createWrittenPositions({ redis, keyPrefix, logger }),
    startProcess: (settings = {}) =>
      start(
        queryApiConfigSchema.parse({
          readDatabaseUrl: database.url,
          redisUrl,
          redisKeyPrefix: keyPrefix,
          serviceToken: 'a-service-token-of-tests',
          commandApiUrl: url,
          workersUrl: url,
          port: 0,
          ...settings,
        }),
        { logger },
      ),
    insertBooking: (tenantId, changes) => insertBooking(admin, tenantId, changes),
    reach: async (models, topic, partition, position) => {
      await admin.query(
        `insert into projection_checkpoints (projection, version, topic, generation, partition, position, kafka_offset, current_at)
         select name, version, $2, 1, $3, $4, $4, now() from projection_versions where status = 'live' and name = any($1)
         on conflict on constraint projection_checkpoints_pkey do update set position = excluded.position, current_at = now()`,
        [models, topic, partition, position],
      )
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      redis.disconnect()
      await admin.end()
      await database.drop()
    },
  }
}

/** command-api's and workers' internal answers, from one server. */
async function neighbourServer(neighbours: Neighbours): Promise<Server> {
  const server = createServer(async (req, res) => {
    let text = ''
    for await (const chunk of req) text += chunk
    const answer = (status: number, body: unknown) =>
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (req.url === '/internal/introspect') return answer(200, introspect(JSON.parse(text), neighbours))
    if (req.url === '/internal/unseal' && neighbours.canUnseal) return answer(200, unseal(JSON.parse(text), neighbours))
    if (req.url === '/health/ready' && neighbours.isReady !== null) return answer(neighbours.isReady ? 200 : 503, {})
    if (req.url === '/internal/lookups/health' && neighbours.suppliers) return answer(200, neighbours.suppliers)
    if (neighbours.isReady === null) return // hangs
    return answer(500, {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

/** Staff tokens here are `<role>` or `<role>.<tenant>`. */
function introspect(request: IntrospectionRequest, { requestsPerMinute }: Neighbours): IntrospectionAnswer {
  const refused = { kind: 'refused', code: 'unauthorized', detail: 'no', members: {} } as const
  if (request.kind === 'staff') {
    const [role = '', tenantScope = null] = request.token.split('.')
    if (role !== 'operator' && role !== 'viewer' && role !== 'tenant-admin') return refused
    return { kind: 'staff', accountId: `staff-${role}`, role, tenantScope }
  }
  const { tenantId, headers } = request
  const memberId = headers['x-cc-member-id']
  if (!tenantId || !memberId || headers['x-cc-api-key'] !== apiKey) return refused
  const tenant = { limits: { requestsPerMinute } }
  return { kind: 'member', tenantId, memberId, principal: `member:${memberId}`, tenant }
}

function unseal(body: { items: { personId: string; sealed: string }[] }, { forgotten }: Neighbours) {
  const [firstName, lastName] = ['John', 'Doe']
  const value = {
    title: 'Mr',
    gender: 'm',
    firstName,
    lastName,
    dateOfBirth: '1985-03-15',
    email: 'j@example.com',
    phone: '+15551234567',
  }
  return { items: body.items.map(({ personId }) => (forgotten.has(personId) ? { gone: true } : { value })) }
}

async function insertBooking(
  admin: pg.Client,
  tenantId: string,
  changes: Partial<BookingDetails>,
): Promise<BookingDetails> {
  const data = sampleData(topics.bookings, 'BookingRequested') as never as {
    bookingId: string
    memberId: string
    personId: string
    offer: { flightId: string; outbound: BookingDetails['outbound']; inbound: BookingDetails['inbound'] }
    price: BookingDetails['price']
    passengers: BookingDetails['passengers']
    at: string
  }
  const details: BookingDetails = {
    bookingId: data.bookingId,
    memberId: data.memberId,
    personId: data.personId,
    status: 'confirmed',
    progress: {
      phase: 'confirmed',
      undoTo: null,
      isSupplierAwaited: false,
      unknown: null,
      operator: null,
      approval: null,
    },
    flightId: data.offer.flightId,
    outbound: data.offer.outbound,
    inbound: data.offer.inbound,
    price: data.price,
    passengers: data.passengers.map(({ type, sealed }) => ({ type, sealed })),
    tickets: [{ passengerIndex: 0, ticketNumber: '0162345678901', seat: '23A' }],
    order: { orderId: 'ord_1', bookingReference: 'RZPNX8' },
    deducted: null,
    refund: null,
    failureReason: null,
    cancelledAt: null,
    createdAt: data.at,
    updatedAt: data.at,
    ...changes,
  }
  const { bookingId, memberId, status, outbound, price, progress, createdAt, updatedAt } = details
  await admin.query('insert into booking_details_1.booking_details values ($1, $2, $3, $4, $5, $6, $7, 5)', [
    tenantId,
    bookingId,
    memberId,
    status,
    JSON.stringify(details),
    createdAt,
    updatedAt,
  ])
  await admin.query(
    'insert into booking_list_1.booking_list values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 5)',
    [
      tenantId,
      bookingId,
      memberId,
      status,
      outbound.flightNumber,
      outbound.departure.airport,
      outbound.arrival.airport,
      outbound.departure.localTime.slice(0, 10),
      price.loyaltyAmount,
      price.loyaltyCurrency,
      JSON.stringify(progress),
      createdAt,
      updatedAt,
    ],
  )
  return details
}
