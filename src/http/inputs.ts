import type { FastifyInstance } from 'fastify'
import type { Schema } from '../../api/v1/schema.ts'
import { RequestError } from './failure.ts'
import { type QuerySchema, readQuery, validateBody } from './validation.ts'

/**
 * Lists, objects and what is in them: as many as a thousand references need, and more. The parser
 * would spend a tenth of a second and more on a quarter of a million, and nobody else is served
 * meanwhile, a kubelet neither.
 */
const MAX_PARTS = 4_096

function notForUs(): never {
  throw new Error('queries, bodies and answers are read and written without the compilers')
}

/**
 * For the framework, which would otherwise load its compilers of schemas with itself, used or not:
 * a hundred files.
 */
export const noCompilers = {
  compilersFactory: { buildValidator: notForUs, buildSerializer: notForUs },
}

/**
 * How queries and bodies are read. Answers are built field by field: compiled validators and
 * serialisers would only make the start slower, by a third of a second.
 */
export function readInputs(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    const text = String(body)
    const problem = problemOf(text)
    if (problem !== undefined) {
      done(new RequestError('REQUEST_INVALID', problem))
      return
    }
    try {
      done(null, text === '' ? undefined : JSON.parse(text))
    } catch {
      done(new RequestError('REQUEST_INVALID', 'the body is not JSON'))
    }
  })
  app.setValidatorCompiler(({ schema, httpPart }) => {
    if (httpPart === 'querystring') return (query) => readQuery(schema as QuerySchema, query)
    if (httpPart !== 'body') return () => true
    return (body: unknown) => {
      const problem = validateBody(schema as Schema, body)
      return problem === undefined ? { value: body } : { error: new Error(problem) }
    }
  })
  app.setSerializerCompiler(() => JSON.stringify)
  // Who describes a route and says nothing of a query means that there is none.
  app.addHook('onRoute', ({ schema }) => {
    if (schema?.operationId !== undefined) schema.querystring ??= { type: 'object', properties: {} }
  })
}

/**
 * What JSON.parse would not say: too many parts, or a field that is given twice, of which it would take
 * the last one and another reader the first (RFC 8259, section 4).
 */
function problemOf(text: string): string | undefined {
  const tokens = /"((?:[^"\\]|\\.)*)"(\s*:)?|[,[{}\]]/gs
  const objects: Set<string>[] = []
  let parts = 0
  for (const [token, string, colon] of text.matchAll(tokens)) {
    if (token === '{' || token === '[') objects.push(new Set())
    else if (token === '}' || token === ']') objects.pop()
    if (token === ',' || token === '{' || token === '[') parts += 1
    if (parts > MAX_PARTS) return `the body has more than ${MAX_PARTS} parts`
    if (string === undefined || colon === undefined) continue
    const name = nameOf(string)
    if (objects.at(-1)?.has(name)) return `the field '${name.slice(0, 64)}' is given twice`
    objects.at(-1)?.add(name)
  }
  return undefined
}

/** Two spellings of one name are the same field. */
function nameOf(string: string): string {
  try {
    return JSON.parse(`"${string}"`)
  } catch {
    return string
  }
}
