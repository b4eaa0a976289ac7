import { findConfigFile, socketExists } from '../config/files.ts'
import { loadConfig } from '../config/load.ts'
import { detectRuntime } from '../config/socket.ts'
import { ResolveError } from '../errors.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { isRuntimeError } from '../runtime/call.ts'
import { openRuntimeChannel } from '../runtime/channel.ts'
import { createContainerdNames } from '../runtime/containerd-names.ts'
import { createCriClient } from '../runtime/cri-client.ts'
import { createNameTable } from '../runtime/name-table.ts'
import type { NodeImage } from '../runtime/types.ts'
import { createLogger } from '../telemetry/logger.ts'

/** The names of this node's images, in the runtime itself; the service need not run. */
export interface NodeNames {
  readonly registries: readonly RegistryEntry[]
  images(): Promise<readonly NodeImage[]>
  name(existing: string, name: string): Promise<boolean>
  close(): void
}

/**
 * Every call throws ResolveError: UNAVAILABLE when the runtime is not there, UNKNOWN with its text
 * otherwise.
 *
 * @throws ResolveError UNSUPPORTED when this runtime lets no names be given
 */
export async function openNodeNames({
  file: explicit,
}: {
  readonly file: string | undefined
}): Promise<NodeNames> {
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  const { config } = await loadConfig({ file })
  const path = config.cri ?? detectRuntime(socketExists)
  if (path === undefined) {
    throw new ResolveError('UNAVAILABLE', 'there is no CRI runtime on this machine; set cri:')
  }
  const channel = openRuntimeChannel(path)
  const cri = createCriClient(channel, config.version)
  const names = createContainerdNames({
    table: createNameTable(channel),
    imageStatus: (image) => cri.imageStatus(image),
    onLost: (listener) => channel.onLost(listener),
    log: createLogger('silent'),
  })
  const explained = <T>(call: Promise<T>): Promise<T> => call.catch(explain(path))
  try {
    if (!(await explained(names.available()))) {
      const problem = `the runtime at ${path} has no service for the names of images, as containerd has`
      throw new ResolveError('UNSUPPORTED', `${problem}; its images are pulled again instead`)
    }
  } catch (error) {
    channel.close()
    throw error
  }
  return {
    registries: config.registries,
    images: () => explained(cri.listImages()),
    name: (existing, name) => explained(names.name(existing, [name])),
    close: () => channel.close(),
  }
}

function explain(socket: string): (thrown: unknown) => never {
  return (thrown) => {
    if (!isRuntimeError(thrown)) throw thrown
    const problem = `the runtime at ${socket}: ${thrown.details}`
    const absent = /No connection established|Connection dropped/.test(thrown.details)
    throw new ResolveError(absent ? 'UNAVAILABLE' : 'UNKNOWN', problem, { cause: thrown })
  }
}
