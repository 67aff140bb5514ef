/** The AsyncAPI 3.0 document of the event log: one channel per topic, one message per event version. */
import { eventEnvelopeSchema } from '../src/envelope.ts'
import { type JsonSchema, jsonSchemaOf } from '../src/json-schema.ts'
import { eventVersionSchemas, versionFile } from './event-schemas.ts'

/** Record headers as the relay sets them; Kafka carries them as text. */
const headers: JsonSchema = {
  type: 'object',
  properties: {
    'event-id': { type: 'string', format: 'uuid' },
    type: { type: 'string', description: 'Event type' },
    version: { type: 'string', description: 'Version of the shape of `data`' },
    tenant: { type: 'string' },
    stream: { type: 'string' },
    'stream-version': { type: 'string', description: 'Number of the event within its stream, from 1' },
    position: { type: 'string', description: 'Dense number within the partition, from 1' },
    'correlation-id': { type: 'string' },
    traceparent: { type: 'string', description: 'W3C trace context, when the request sent one' },
  },
  required: ['event-id', 'type', 'version', 'tenant', 'stream', 'stream-version', 'position', 'correlation-id'],
}

const pointerTo = (path: string) => ({ $ref: `#/${path}` })

/** The whole document as plain JSON. */
export function asyncApiDocument(): JsonSchema {
  const versions = eventVersionSchemas()
  const topics = [...new Set(versions.map(({ topic }) => topic))]
  const messages = Object.fromEntries(versions.map((version) => [messageName(version), message(version)]))
  const messagesOf = (topic: string) => versions.filter((version) => version.topic === topic).map(messageName)
  const { $schema: _dialect, ...envelope } = jsonSchemaOf(eventEnvelopeSchema)
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Portolan event log',
      version: '1.0.0',
      description:
        'Events in the order of their streams, at least once. A record is a duplicate when its position is not higher than the last ' +
        'one of its partition. Topic names are without the prefix of an environment.',
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(
      topics.map((topic) => [
        topic,
        {
          address: topic,
          description: 'All events of one stream lie in one partition, in order; records are kept for ever.',
          messages: Object.fromEntries(
            messagesOf(topic).map((name) => [name, pointerTo(`components/messages/${name}`)]),
          ),
        },
      ]),
    ),
    operations: Object.fromEntries(
      topics.map((topic) => [
        `publish-${topic}`,
        {
          action: 'send',
          channel: pointerTo(`channels/${topic}`),
          summary: 'The relay publishes what the event store committed, in position order.',
          messages: messagesOf(topic).map((name) => pointerTo(`channels/${topic}/messages/${name}`)),
        },
      ]),
    ),
    components: { schemas: { envelope, headers }, messages },
  }
}

/** `bookings.BookingConfirmed.v2`: two topics may know an event of the same name. */
function messageName({ topic, type, version }: { topic: string; type: string; version: number }): string {
  return `${topic.split('.', 1)[0]}.${type}.v${version}`
}

function message(version: ReturnType<typeof eventVersionSchemas>[number]): JsonSchema {
  const { $schema: _dialect, ...data } = version.schema
  return {
    name: version.type,
    title: `${version.type}, version ${version.version}`,
    contentType: 'application/json',
    headers: pointerTo('components/schemas/headers'),
    'x-schema-file': versionFile(version),
    payload: {
      allOf: [
        pointerTo('components/schemas/envelope'),
        {
          type: 'object',
          properties: { type: { const: version.type }, schemaVersion: { const: version.version }, data },
        },
      ],
    },
  }
}
