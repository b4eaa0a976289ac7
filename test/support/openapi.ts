import { readFile } from 'node:fs/promises'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { load } from 'js-yaml'

/** One answer of the door, however it was asked for. */
export interface Told {
  readonly method: string
  /** The path of the document, `/images/{image}`; default: looked up by `url`. */
  readonly route?: string
  readonly url: string
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, object> }>>
}

let loading: Promise<OpenApi> | undefined

/** The document as the judge of what the door says. */
export class OpenApi {
  readonly document: {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
    readonly components: { readonly schemas: Readonly<Record<string, object>> }
  }
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true })
  readonly #validators = new Map<string, ValidateFunction>()

  private constructor(text: string) {
    // A field that the document does not name is an error too.
    this.document = JSON.parse(text, (_key, value) =>
      value?.type === 'object' && value.properties
        ? { ...value, additionalProperties: false }
        : value,
    )
    formats.default(this.#ajv)
    this.#ajv.addSchema(this.document, 'document')
  }

  /** Made once: it takes longer than most tests. */
  static load(): Promise<OpenApi> {
    loading ??= readFile(new URL('../../openapi/openapi.yaml', import.meta.url), 'utf8').then(
      (text) => new OpenApi(JSON.stringify(load(text))),
    )
    return loading
  }

  /** The path of the document that a URL is one of; of several one that answers the method. */
  route(url: string, method: string): string | undefined {
    const [path = ''] = url.split('?', 1)
    const fits = (route: string): boolean =>
      new RegExp(`^${route.replace('{image}', '.*').replace(/\{\w+\}/g, '[^/]+')}$`).test(path)
    const routes = Object.keys(this.document.paths).filter(fits)
    const name = method === 'HEAD' ? 'get' : method.toLowerCase()
    return routes.find((route) => this.document.paths[route]?.[name] !== undefined) ?? routes[0]
  }

  /** What the document says against an answer; nothing when all is well. */
  objections({ method, route: given, url, status, headers, body }: Told): readonly string[] {
    const route = given ?? this.route(url, method)
    const path = this.document.paths[route ?? '']
    const operation = path?.[(method === 'HEAD' ? 'get' : method).toLowerCase()]
    if (route === undefined || operation === undefined) {
      const wanted = path === undefined ? 404 : 405
      // Node's parser and the router answer what is not even a path.
      if (status !== wanted && status !== 400) return [`${status} instead of ${wanted}`]
      return this.fits('#/components/schemas/ErrorResponse', body, method)
    }
    const response = operation.responses[String(status)]
    if (response === undefined) return [`${method} ${route}: ${status} is not in the document`]
    if (response.content === undefined) return body === '' ? [] : ['a body where there is none']
    const [type = ''] = String(headers['content-type']).split(';', 1)
    if (response.content[type] === undefined) return [`${type} is not in the document`]
    const pointer = ['paths', route, method === 'HEAD' ? 'get' : method.toLowerCase(), 'responses']
    const at = [...pointer, String(status), 'content', type, 'schema'].map(escaped).join('/')
    if (type === 'application/json') return this.fits(`#/${at}`, body, method)
    if (type !== 'application/x-ndjson') return []
    return body
      .split('\n')
      .flatMap((line) => (line === '' ? [] : this.fits(`#/${at}`, line, method)))
  }

  /** @param pointer of a schema in the document */
  fits(pointer: string, body: string, method = 'GET'): readonly string[] {
    if (method === 'HEAD') return body === '' ? [] : ['a body to HEAD']
    const known = this.#validators.get(pointer)
    const validate = known ?? this.#ajv.compile({ $ref: `document${pointer}` })
    this.#validators.set(pointer, validate)
    if (validate(JSON.parse(body))) return []
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
  }
}

/** Asks, and lets the document judge the answer. */
export async function ask(
  app: FastifyInstance,
  options: InjectOptions | string,
): Promise<LightMyRequestResponse> {
  const asked = typeof options === 'string' ? { url: options } : options
  const response = await app.inject(asked)
  const objections = (await OpenApi.load()).objections({
    method: asked.method ?? 'GET',
    url: String(asked.url),
    status: response.statusCode,
    headers: response.headers,
    body: response.headers['content-encoding'] === 'gzip' ? '' : response.body,
  })
  if (objections.length > 0) throw new Error(objections.join('; '))
  return response
}

function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
}
