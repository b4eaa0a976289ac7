import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

// `byte-pipe.ts SOCKET RUNTIME`: the least that a Node process in the way costs. Bytes are passed on as they come and
// are not looked at, so no call could be answered by it, and no name be changed.

export const BYTE_PIPE = fileURLToPath(import.meta.url)

if (process.argv[1] === BYTE_PIPE) {
  const [, , socket = '', runtime = ''] = process.argv
  const server = createServer((client) => {
    const upstream = connect(runtime)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('data', (chunk) => to.write(chunk))
      from.on('close', () => to.destroy())
      from.on('error', () => to.destroy())
    }
  })
  server.listen(socket, () => process.stdout.write('"ready"\n'))
}
