import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { dump } from 'js-yaml'
import { parseReference } from '../src/reference/reference.ts'
import type { Resolution, ResolveOptions } from '../src/resolver/types.ts'
import { type Core, createCore } from '../src/service/core.ts'
import { silentLogger } from '../src/telemetry/log.ts'
import { loadText } from '../test/support/config.ts'
import { BY_DEFAULT } from '../test/support/daemon.ts'
import type { Cleanup } from '../test/support/stack.ts'

export interface ResolvingOptions {
  /** `host:port`, the first is asked first. */
  readonly hosts: readonly string[]
  readonly tagTtl?: string
}

/** The whole resolver in this process, as the service puts it together; nothing outside is ever asked. */
export function startResolving(
  cleanup: Cleanup,
  options: ResolvingOptions,
): (image: string, options?: ResolveOptions) => Promise<Resolution> {
  const core = openCore(options)
  cleanup.after(() => core.close())
  return (image, asked) => core.resolver.resolve(parseReference(image), asked)
}

function openCore({ hosts, tagTtl = '1h' }: ResolvingOptions): Core {
  const { config } = loadText(dump(configuration(hosts, tagTtl)))
  return createCore(config, silentLogger(), () => undefined)
}

/** Of a service that asks these registries alone. */
export function configuration(hosts: readonly string[], tagTtl = '1h'): object {
  return {
    cache: { tagTTL: tagTtl, imageCacheTTL: '2h', imageCacheSize: 8192 },
    registries: hosts.map((host, index) => ({
      address: `http://${host}`,
      priority: 900 - index * 100,
    })),
    mirrorsOnly: ['docker.io'],
    ...BY_DEFAULT,
  }
}

/** `host:port` that refuses connections. */
export async function refusingHost(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `127.0.0.1:${port}`
}
