import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Daemon } from '../support/daemon.ts'
import type { Attack } from './attack.ts'

/** The attacker's address; the good client comes from another one unless it is about just that. */
const OTHER = '127.0.0.2'
const BATCH = 1_000

/** By HTTP. */
export const attacks: readonly Attack[] = [
  ...['/livez', '/readyz', '/openapi.json', '/metrics'].map(unreadAnswers),
  batches(),
  idleConnections('127.0.0.1'),
  idleConnections(OTHER),
  slowHeaders(),
]

/** Requests without end, and none of the answers is taken off. */
function unreadAnswers(path: string): Attack {
  return {
    name: `unread answers of ${path}`,
    async run(scene) {
      const daemon = await scene.start()
      const good = { kind: 'http', url: `${daemon.httpUrl()}/livez`, from: OTHER } as const
      const text = get(path).repeat(20_000)
      const attack = async (): Promise<void> => {
        const endAt = performance.now() + (scene.isShort ? 2_000 : 15_000)
        while (performance.now() < endAt && daemon.program().running()) {
          const sockets = await dialMany(portOf(daemon), 10)
          for (const socket of sockets) socket.pause().write(text)
          await sleep(500)
          for (const socket of sockets) socket.destroy()
        }
      }
      return scene.measure({ daemon, good, attack })
    },
  }
}

/** A thousand names each that no registry has heard of. */
function batches(): Attack {
  return {
    name: '32 batches of 1,000 names',
    async run(scene) {
      const daemon = await scene.start({
        config: { registries: [{ address: 'http://127.0.0.1:1' }] },
      })
      const good = { kind: 'http', url: `${daemon.httpUrl()}/livez`, from: OTHER } as const
      const statuses = new Map<string, number>()
      const attack = async (): Promise<void> => {
        const lastsMs = scene.isShort ? 4_000 : 30_000
        const post = async (batch: number): Promise<void> => {
          const references = Array.from(
            { length: BATCH },
            (_, index) => `127.0.0.1:1/none/b${batch}-${index}`,
          )
          const outcome = await fetch(`${daemon.httpUrl()}/resolve`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ references }),
            signal: AbortSignal.timeout(lastsMs),
          })
            .then(async (response) => {
              await response.arrayBuffer()
              return String(response.status)
            })
            .catch((error) => String(error.name))
          statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1)
        }
        await Promise.all(Array.from({ length: 32 }, (_, batch) => post(batch)))
      }
      const note = (): string => [...statuses].map((each) => each.join(' × ')).join(', ')
      return scene.measure({ daemon, good, attack, note })
    },
  }
}

/** As many connections as one client can open, that say nothing. */
function idleConnections(from: string): Attack {
  return {
    name: `1,200 idle connections${from === OTHER ? '' : ', and health from the same address'}`,
    async run(scene) {
      const daemon = await scene.start()
      const path = from === OTHER ? '/registries' : '/livez'
      const good = { kind: 'http', url: `${daemon.httpUrl()}${path}`, from } as const
      const attack = async (): Promise<void> => {
        const sockets = await dialMany(portOf(daemon), 1_200)
        await sleep(scene.isShort ? 1_000 : 10_000)
        for (const socket of sockets) socket.destroy()
      }
      return scene.measure({ daemon, good, attack })
    },
  }
}

function slowHeaders(): Attack {
  return {
    name: 'headers that never end',
    async run(scene) {
      const daemon = await scene.start()
      const good = { kind: 'http', url: `${daemon.httpUrl()}/livez`, from: OTHER } as const
      const attack = async (): Promise<void> => {
        const sockets = await dialMany(portOf(daemon), scene.isShort ? 100 : 500)
        for (let each = 0; each < (scene.isShort ? 20 : 100); each += 1) {
          for (const socket of sockets) {
            socket.write(each === 0 ? 'GET / HTTP/1.1\r\n' : 'x-a: b\r\n')
          }
          await sleep(50)
        }
        for (const socket of sockets) socket.destroy()
      }
      return scene.measure({ daemon, good, attack })
    },
  }
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`
}

function portOf(daemon: Daemon): number {
  return Number(new URL(daemon.httpUrl()).port)
}

async function dialMany(port: number, count: number): Promise<readonly Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(port, '127.0.0.1')
      const settled = new Promise((resolve) => {
        socket.on('connect', resolve)
        socket.on('error', resolve)
      })
      await settled
      return socket
    }),
  )
}
