/** Which methods a path would have answered: express itself forgets that a path matched when the method did not. */
import type { Express } from 'express'

interface Layer {
  /** What it consumes of a path; false when it does not match. */
  match(path: string): false | { path: string }
  route?: { methods: Record<string, boolean | undefined> }
  handle?: { stack?: Layer[] }
}

/** Upper-case methods of every route that matches `path`, sorted; empty for an unknown path. */
export function allowedMethods(app: Express, path: string): string[] {
  // express does not type its router's layers; a change there fails the tests of `problemHandler`.
  const { stack } = app.router as unknown as { stack: Layer[] }
  return [...new Set(methodsIn(stack, path))].sort()
}

function methodsIn(stack: readonly Layer[], path: string): string[] {
  return stack.flatMap((layer) => {
    const matched = layer.match(path)
    if (!matched) return []
    if (layer.route) {
      const methods = Object.keys(layer.route.methods).filter((method) => method !== '_all')
      return methods.map((method) => method.toUpperCase())
    }
    if (!layer.handle?.stack) return []
    const rest = path.slice(matched.path.replace(/\/$/, '').length)
    return methodsIn(layer.handle.stack, rest.startsWith('/') ? rest : `/${rest}`)
  })
}
