import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'

// The same answer to every request, from `BODY` and `HEADERS` (JSON): `same-body.ts bare` on node:http and
// nothing else, the least that an HTTP server in Node can do; `same-body.ts fastify` as a route of the framework.

export const SAME_BODY = fileURLToPath(import.meta.url)

if (process.argv[1] === SAME_BODY) {
  const body = process.env['BODY'] ?? ''
  const headers = JSON.parse(process.env['HEADERS'] ?? '{}') as Readonly<Record<string, string>>
  const serve = process.argv[2] === 'fastify' ? withFramework : bare
  const address = await serve(body, headers)
  process.stdout.write(`"address":"${address}"\n`)
}

function bare(body: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const all = { ...headers, 'content-length': Buffer.byteLength(body) }
  const server = createServer((_request, response) => {
    response.writeHead(200, all)
    response.end(body)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    })
  })
}

async function withFramework(
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const app = fastify()
  app.get('/resolve', (_request, reply) => {
    reply.headers(headers).send(body)
  })
  return app.listen({ port: 0, host: '127.0.0.1' })
}
