import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Attack } from './attack.ts'

/** By HTTP. */
export const attacks: readonly Attack[] = [
  {
    name: 'headers that never end',
    async run(scene) {
      const daemon = await scene.start()
      const { port } = new URL(daemon.httpUrl())
      const good = { kind: 'http', url: `${daemon.httpUrl()}/livez`, from: '127.0.0.2' } as const
      const count = scene.isShort ? 100 : 500
      const attack = async (): Promise<void> => {
        const sockets = await dialMany(Number(port), count)
        for (let each = 0; each < 20; each += 1) {
          for (const socket of sockets)
            socket.write(each === 0 ? 'GET / HTTP/1.1\r\n' : 'x-a: b\r\n')
          await sleep(50)
        }
        for (const socket of sockets) socket.destroy()
      }
      return scene.measure({ daemon, good, attack })
    },
  },
]

async function dialMany(port: number, count: number): Promise<readonly Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      await once(socket, 'connect')
      return socket
    }),
  )
}
