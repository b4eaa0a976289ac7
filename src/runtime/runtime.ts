import type { Logger } from '../telemetry/log.ts'
import { openRuntimeChannel } from './channel.ts'
import { type ContentStore, createContentStore, isComplete } from './content.ts'
import { type CriClient, createCriClient } from './cri-client.ts'
import { createAliasNames } from './names/alias-names.ts'
import { openAliasStore } from './names/alias-store.ts'
import { createAliases } from './names/aliases.ts'
import { createContainerdNames } from './names/containerd.ts'
import { openLeaseJournal } from './names/journal.ts'
import { createNameTable } from './names/name-table.ts'
import { createNaming } from './names/naming.ts'
import type { Aliases, CriVersion, ImageNames } from './types.ts'
import { createWholeImages } from './whole-image.ts'

/** The runtime below us: what it has, and what it calls it. */
export interface Runtime {
  /** Of its unix socket. */
  readonly path: string
  /** Images are found, shown and removed by the names they were given, wherever those are kept. */
  readonly cri: CriClient
  readonly names: ImageNames
  readonly aliases: Aliases
  /** Offered by containerd alone. */
  readonly content: ContentStore
  close(): Promise<void>
}

export interface RuntimeOptions {
  /** Of the runtime's unix socket. */
  readonly path: string
  /** Undefined: found out. */
  readonly version: CriVersion | undefined
  /** Folder for what must outlive a restart: the names that a runtime does not keep itself. */
  readonly stateFolder: string
  readonly logger: Logger
}

/** Connects at the first call. */
export function openRuntime({ path, version, stateFolder, logger }: RuntimeOptions): Runtime {
  const channel = openRuntimeChannel(path)
  const onLost = (listener: () => void): void => channel.onLost(listener)
  const cri = createCriClient(channel, version)
  const content = createContentStore(channel)
  const table = createNameTable(channel, cri.sandboxImage)
  const journal = openLeaseJournal(stateFolder, logger)
  const containerd = createContainerdNames({
    table,
    imageStatus: (image) => cri.imageStatus(image),
    isComplete: (target, id) => isComplete(content, target, id),
    whole: createWholeImages({
      table,
      content,
      imageStatus: cri.imageStatus,
      imageFolders: cri.imageFolders,
      onLost,
    }),
    onLost,
    journal,
    log: logger,
  })
  const store = openAliasStore(stateFolder, logger)
  const aliasNames = createAliasNames({ store, imageStatus: cri.imageStatus, log: logger })
  const naming = createNaming({ containerd, aliases: aliasNames, onLost })
  const { aliases, named } = createAliases({ channel, cri, store, aliasNames, naming })
  const close = async (): Promise<void> => {
    channel.close()
    await journal.written()
  }
  return { path, cri: named, names: naming, aliases, content, close }
}
