import type { FastifyInstance } from 'fastify'

/** Which methods a path answers, for a request with another one (RFC 9110, 15.5.6). */
export class KnownRoutes {
  readonly #routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = []

  /** Has to come before the routes. */
  constructor(app: FastifyInstance) {
    app.addHook('onRoute', ({ url, method }) => {
      const methods = [method].flat()
      this.#routes.push({ pattern: patternOf(url), methods })
    })
  }

  /** @param path without the query, as it was sent; none: there is no such path */
  methods(path: string): readonly string[] {
    const fitting = this.#routes.filter(({ pattern }) => pattern.test(path))
    return [...new Set(fitting.flatMap(({ methods }) => methods))].sort()
  }
}

function patternOf(url: string): RegExp {
  const literal = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
  const parts = url.split('/').map((part) => {
    if (part === '*') return '.*'
    return part.startsWith(':') ? '[^/]+' : literal(part)
  })
  return new RegExp(`^${parts.join('/')}$`)
}
