import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'

// The same body to everybody, from `BODY`: `same-body.ts bare` on node:http and nothing else, the least
// that an HTTP server in Node can do; `same-body.ts fastify` as a static route of the framework.

export const SAME_BODY = fileURLToPath(import.meta.url)
const TYPE = 'application/json; charset=utf-8'

if (process.argv[1] === SAME_BODY) {
  const body = process.env['BODY'] ?? ''
  const address = process.argv[2] === 'fastify' ? await withFramework(body) : await bare(body)
  process.stdout.write(`"address":"${address}"\n`)
}

function bare(body: string): Promise<string> {
  const headers = { 'content-type': TYPE, 'content-length': Buffer.byteLength(body) }
  const server = createServer((_request, response) => {
    response.writeHead(200, headers)
    response.end(body)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    })
  })
}

async function withFramework(body: string): Promise<string> {
  const app = fastify()
  app.get('/resolve', (_request, reply) => reply.header('content-type', TYPE).send(body))
  return app.listen({ port: 0, host: '127.0.0.1' })
}
