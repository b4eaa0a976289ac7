import type { Logger } from '../telemetry/logger.ts'
import { openRuntimeChannel } from './channel.ts'
import { createContainerdNames } from './containerd-names.ts'
import { type CriClient, createCriClient } from './cri-client.ts'
import { createNameTable } from './name-table.ts'
import type { CriVersion, ImageNames } from './types.ts'

/** The runtime below us: what it has, and what it calls it. */
export interface Runtime {
  /** Of its unix socket. */
  readonly path: string
  readonly cri: CriClient
  readonly names: ImageNames
  close(): void
}

export interface RuntimeOptions {
  /** Of the runtime's unix socket. */
  readonly path: string
  /** Undefined: found out. */
  readonly version: CriVersion | undefined
  readonly logger: Logger
}

/** Connects at the first call. */
export function openRuntime({ path, version, logger }: RuntimeOptions): Runtime {
  const channel = openRuntimeChannel(path)
  const cri = createCriClient(channel, version)
  const names = createContainerdNames({
    table: createNameTable(channel),
    imageStatus: (image) => cri.imageStatus(image),
    onLost: (listener) => channel.onLost(listener),
    log: logger,
  })
  return { path, cri, names, close: () => channel.close() }
}
