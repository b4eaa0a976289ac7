import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

/** The least that an HTTP server in Node can do: the same body to everybody, from `BODY`. */
export const BARE_SERVER = fileURLToPath(import.meta.url)

if (process.argv[1] === BARE_SERVER) {
  const body = process.env['BODY'] ?? ''
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  }
  const server = createServer((_request, response) => {
    response.writeHead(200, headers)
    response.end(body)
  })
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    process.stdout.write(`"address":"http://127.0.0.1:${port}"\n`)
  })
}
