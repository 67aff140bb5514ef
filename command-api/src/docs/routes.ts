/**
 * `/openapi.json`, `/asyncapi.json` and the documentation page `/docs`, all from files of this installation: the page loads nothing
 * from elsewhere, and its content security policy keeps the browser from trying. Files are streamed per request, so an idle
 * process holds none of them.
 */
import { fileURLToPath } from 'node:url'
import { asyncApiFile, openApiFile } from '@portolan/schemas/documents.ts'
import { type RequestHandler, Router } from 'express'

/** The parts of swagger-ui-dist that the page needs; nothing else of the package is reachable. */
const assets = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'] as const

// 'unsafe-inline' for styles only: the page sets style attributes on its own elements.
const contentSecurityPolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Portolan API</title>
    <link rel="icon" href="/docs/favicon-32x32.png">
    <link rel="stylesheet" href="/docs/swagger-ui.css">
  </head>
  <body>
    <div id="api"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`

// A validatorUrl would send the document to a public service.
const startScript = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#api',
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
})
`

/** The documentation's routes; no authentication, nothing in them is secret. */
export function createDocsRoutes(): Router {
  const routes = Router()
  routes.get('/openapi.json', sendFile(openApiFile))
  routes.get('/asyncapi.json', sendFile(asyncApiFile))
  routes.get('/docs', (_req, res) => {
    res.set('Content-Security-Policy', contentSecurityPolicy).type('html').send(page)
  })
  routes.get('/docs/start.js', (_req, res) => {
    res.type('js').send(startScript)
  })
  for (const asset of assets) {
    // Resolving a file's address does not load it.
    routes.get(`/docs/${asset}`, sendFile(new URL(import.meta.resolve(`swagger-ui-dist/${asset}`)), '1 day'))
  }
  return routes
}

/** maxAge: how long clients may keep it; without one they ask again each time and mostly get 304. */
function sendFile(file: URL, maxAge: '1 day' | 0 = 0): RequestHandler {
  const path = fileURLToPath(file)
  return (_req, res, next) => {
    res.sendFile(path, { maxAge }, (error) => {
      if (error) next(error)
    })
  }
}
