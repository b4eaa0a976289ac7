import { detectRuntime } from '../config/addresses.ts'
import { socketExists } from '../config/files.ts'
import { type ConfigPlace, readConfig } from '../config/load.ts'
import { ResolveError } from '../errors.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { isRuntimeError } from '../runtime/call.ts'
import { openRuntimeChannel } from '../runtime/channel.ts'
import { createContentStore, isComplete } from '../runtime/content.ts'
import { createCriClient } from '../runtime/cri-client.ts'
import { createContainerdNames } from '../runtime/names/containerd.ts'
import { createNameTable } from '../runtime/names/name-table.ts'
import type { NodeImage } from '../runtime/types.ts'
import { unreachable } from '../runtime/unreachable.ts'
import { silentLogger } from '../telemetry/log.ts'

/** The names of this node's images, in the runtime itself; the service need not run. */
interface NodeNames {
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
export async function openNodeNames(place: ConfigPlace): Promise<NodeNames> {
  const config = await readConfig(place)
  const path = config.cri ?? detectRuntime(socketExists)
  if (path === undefined) {
    throw new ResolveError('UNAVAILABLE', 'there is no CRI runtime on this machine; set cri:')
  }
  const channel = openRuntimeChannel(path)
  const cri = createCriClient(channel, config.version)
  const content = createContentStore(channel)
  const names = createContainerdNames({
    table: createNameTable(channel),
    imageStatus: (image) => cri.imageStatus(image),
    isComplete: (target, id) => isComplete(content, target, id),
    onLost: (listener) => channel.onLost(listener),
    log: silentLogger(),
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

const WHAT_TO_DO =
  'is containerd running (systemctl status containerd), and is this its cri: socket?'

function explain(socket: string): (thrown: unknown) => never {
  return (thrown) => {
    if (!isRuntimeError(thrown)) throw thrown
    const why = unreachable(socket, thrown)
    const message =
      why === undefined
        ? `the runtime at ${socket}: ${thrown.details}`
        : `the runtime cannot be asked: ${why}; ${WHAT_TO_DO}`
    throw new ResolveError(why === undefined ? 'UNKNOWN' : 'UNAVAILABLE', message, {
      cause: thrown,
    })
  }
}
