import { createHash } from 'node:crypto'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

// `hashing-proxy.ts URL`: hands on what the server at URL answers, and hashes it on the way, on node:http and
// nothing else: the least that a program in Node can do that does not hand on wrong bytes.

export const HASHING_PROXY = fileURLToPath(import.meta.url)

const BUFFERED_BYTES = 128 * 1024

if (process.argv[1] === HASHING_PROXY) {
  const [, , origin = ''] = process.argv
  const server = createServer({ highWaterMark: BUFFERED_BYTES }, (request, response) => {
    get(new URL(request.url ?? '/', origin), (answer) => {
      const hash = createHash('sha256')
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.on('data', (chunk: Buffer) => {
        hash.update(chunk)
        if (response.write(chunk)) return
        answer.pause()
        response.once('drain', () => answer.resume())
      })
      answer.on('end', () => {
        hash.digest()
        response.end()
      })
    })
  })
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`"address":"http://127.0.0.1:${(server.address() as AddressInfo).port}"\n`)
  })
}
