/** The OpenAPI 3.1 document. Generated into `schemas/json/openapi.json`; processes serve that file and never build it. */
import { createDocument } from 'zod-openapi'
import { simplifyJsonSchema } from '../json-schema.ts'
import { describedRoutes } from './described-routes.ts'

/** The whole document as plain JSON. */
export function openApiDocument(): ReturnType<typeof createDocument> {
  const paths: Parameters<typeof createDocument>[0]['paths'] = {}
  for (const { method, path, operation } of describedRoutes()) paths[path] = { ...paths[path], [method]: operation }
  return createDocument(
    {
      openapi: '3.1.1',
      info: {
        title: 'Portolan',
        version: '1.0.0',
        description:
          'Flights searched, booked and cancelled with loyalty currency, stays, and what operators need. Errors of the loyalty API come ' +
          'wrapped in `error` unless the client accepts `application/problem+json`.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'The address this document came from' }],
      tags: [
        { name: 'Flights' },
        { name: 'Bookings' },
        { name: 'Stays', description: 'Properties and reservations; a night is sold once' },
        { name: 'Health' },
        { name: 'Staff', description: 'Signing in' },
        { name: 'Operations', description: 'Audited commands and lists of operators' },
        { name: 'Webhooks', description: 'Called by suppliers' },
      ],
      paths,
      components: {
        securitySchemes: {
          coffeechainKey: { type: 'apiKey', in: 'header', name: 'X-CC-API-Key' },
          guestToken: { type: 'http', scheme: 'bearer', description: 'Any UUID; it stands for whoever sends it' },
          staffToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          duffelSignature: { type: 'apiKey', in: 'header', name: 'X-Duffel-Signature' },
        },
      },
    },
    { override: ({ jsonSchema }) => simplifyJsonSchema(jsonSchema as Record<string, unknown>) },
  )
}
