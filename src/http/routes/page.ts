import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { RequestError } from '../error-response.ts'

/** Beside the compiled module `npm run build` has put its files, and all modules as the one page.js. */
const FOLDER = new URL('../page/', import.meta.url)

const headers = {
  // A service of another version has another page, and its tag says whether it has.
  'cache-control': 'no-cache',
  // Nothing but its own files and the API; and the browser itself refuses markup from strings.
  'content-security-policy': [
    "default-src 'none'",
    "connect-src 'self'",
    "img-src 'self'",
    "script-src 'self'",
    "style-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // The address may hold a reference.
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

/**
 * `GET /`: the page for people, and below `/page/` its files. It holds nothing of this service: what it
 * shows, it asks of the API, with the token where one is needed.
 *
 * @param folder its files; they are read at the first request
 */
export function pageRoutes(app: FastifyInstance, folder = FOLDER): void {
  let assets: Promise<ReadonlyMap<string, PageAsset>> | undefined
  const read = () => {
    assets ??= readPageAssets(folder)
    assets.catch(() => {
      assets = undefined
    })
    return assets
  }
  const send = async (reply: FastifyReply, name: string): Promise<FastifyReply> => {
    const asset = (await read()).get(name)
    if (asset === undefined) throw new RequestError('ROUTE_UNKNOWN', 'the page has no such file')
    return reply.headers(headers).type(asset.contentType).send(asset.text)
  }
  const config = { access: 'open' } as const
  app.get('/', { config }, (_request, reply) => send(reply, 'index.html'))
  app.get<{ Params: { file: string } }>('/page/:file', { config }, (request, reply) =>
    send(reply, request.params.file),
  )
}

/** One file of the page, as it is sent. */
interface PageAsset {
  readonly contentType: string
  readonly text: string
}

/** Other files beside them are none of the browser's business. */
const contentTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** @returns the files of the page by name */
async function readPageAssets(folder: URL): Promise<ReadonlyMap<string, PageAsset>> {
  const assets = new Map<string, PageAsset>()
  for (const name of await readdir(folder)) {
    const kind = extname(name)
    const contentType = contentTypes[kind]
    if (contentType === undefined) continue
    const text = await readFile(new URL(name, folder), 'utf8')
    assets.set(name, { contentType, text: lean(text, kind) })
  }
  return assets
}

/** A third of the sources is comments, indentation and ends of lines. */
function lean(text: string, kind: string): string {
  const lines = text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/\s*\n\s*/g, '\n')
    .trim()
  if (kind === '.css') return lines.replace(/\s*([{},;])\s*/g, '$1')
  return kind === '.js' ? lines.replace(/([,;([{])\n|\n(?=[\])}])/g, '$1') : lines
}
