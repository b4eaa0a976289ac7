import { ResolveError } from '../errors.ts'
import { silentLogger } from '../telemetry/log.ts'
import { isRuntimeError, unreachable } from './call.ts'
import { openRuntimeChannel } from './channel.ts'
import { createContentStore, isComplete } from './content.ts'
import { createCriClient } from './cri-client.ts'
import { createContainerdNames } from './names/containerd.ts'
import { createNameTable } from './names/name-table.ts'
import type { CriVersion, NodeImage } from './types.ts'

/** The names of this node's images, in containerd itself; the service need not run. */
export interface NodeNames {
  images(): Promise<readonly NodeImage[]>
  /** @returns false: there is no image `existing` any more */
  name(existing: string, name: string): Promise<boolean>
  close(): void
}

/**
 * Every call throws ResolveError: UNAVAILABLE when the runtime is not there, UNKNOWN with its text
 * otherwise.
 *
 * @param path of the runtime's socket
 * @throws ResolveError UNSUPPORTED when this runtime lets no names be given
 */
export async function openNodeNames(
  path: string,
  version: CriVersion | undefined,
): Promise<NodeNames> {
  const channel = openRuntimeChannel(path)
  const cri = createCriClient(channel, version)
  const content = createContentStore(channel)
  const names = createContainerdNames({
    table: createNameTable(channel),
    imageStatus: (image) => cri.imageStatus(image),
    isComplete: (target, id) => isComplete(content, target, id),
    onLost: (listener) => channel.onLost(listener),
    log: silentLogger(),
  })
  const explained = <T>(call: Promise<T>): Promise<T> =>
    call.catch((thrown: unknown) => {
      throw explain(path, thrown)
    })
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
    images: () => explained(cri.listImages()),
    name: (existing, name) => explained(names.name(existing, [name])),
    close: () => channel.close(),
  }
}

const WHAT_TO_DO =
  'is containerd running (systemctl status containerd), and is this its cri: socket?'

function explain(socket: string, thrown: unknown): unknown {
  if (!isRuntimeError(thrown)) return thrown
  const why = unreachable(socket, thrown)
  return why === undefined
    ? new ResolveError('UNKNOWN', `the runtime at ${socket}: ${thrown.details}`, { cause: thrown })
    : new ResolveError('UNAVAILABLE', `the runtime cannot be asked: ${why}; ${WHAT_TO_DO}`, {
        cause: thrown,
      })
}
