import { findConfigFile } from './config/files.ts'
import { loadConfig } from './config/load.ts'
import { ResolveError } from './errors.ts'
import { isRuntimeError } from './runtime/call.ts'
import { openRuntimeChannel } from './runtime/channel.ts'
import { createCriClient } from './runtime/cri-client.ts'
import { pullImageRequest } from './runtime/pull-request.ts'
import type { NodeImage } from './runtime/types.ts'

/** The images of this node, through the socket of the running service. */
export interface NodeClient {
  /** @returns the runtime's image ID */
  pull(image: string): Promise<string>
  images(): Promise<readonly NodeImage[]>
  /** Also succeeds when there is no such image. */
  remove(image: string): Promise<void>
  close(): void
}

/**
 * Every call throws ResolveError: UNAVAILABLE when the service is not there, UNKNOWN with the
 * text of the service or of the runtime behind it otherwise.
 */
export async function openNodeClient({
  file: explicit,
}: {
  readonly file: string | undefined
}): Promise<NodeClient> {
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  const { config } = await loadConfig({ file })
  const channel = openRuntimeChannel(config.shim)
  const cri = createCriClient(channel, config.version)
  const explained = <T>(call: Promise<T>): Promise<T> => call.catch(explain(config.shim))
  return {
    pull: (image) =>
      explained(
        cri.version().then(async (version) => {
          const request = pullImageRequest(image, version)
          return request.imageRef((await cri.pullImage(request.bytes, { version })).response)
        }),
      ),
    images: () => explained(cri.listImages()),
    remove: (image) => explained(cri.removeImage(image)),
    close: () => channel.close(),
  }
}

function explain(socket: string): (thrown: unknown) => never {
  return (thrown) => {
    if (!isRuntimeError(thrown)) throw thrown
    // Only the way to the socket itself fails with words of this library.
    const absent = /No connection established|Connection dropped/.test(thrown.details)
    if (!absent) throw new ResolveError('UNKNOWN', thrown.details, { cause: thrown })
    const hint = `is the service running, and is this its shim: socket?`
    throw new ResolveError('UNAVAILABLE', `nobody answers at ${socket}: ${hint}`, { cause: thrown })
  }
}
