import assert from 'node:assert/strict'
import type { RuntimeChannel } from '../../src/runtime/channel.ts'
import type { CriClient } from '../../src/runtime/cri-client.ts'
import { createAliasNames } from '../../src/runtime/names/alias-names.ts'
import { type AliasStore, openAliasStore } from '../../src/runtime/names/alias-store.ts'
import { createAliases } from '../../src/runtime/names/aliases.ts'
import type { Aliases } from '../../src/runtime/types.ts'
import { type Cleanup, temporaryFolder } from './stack.ts'

export interface TestAliases {
  readonly store: AliasStore
  readonly aliases: Aliases
  /** Where names are kept, as if the runtime had been asked. */
  route(route: 'runtime' | 'aliases' | undefined): void
}

/** The real aliases, without a runtime: for what only looks names up. */
export function testAliases(t: Cleanup): TestAliases {
  const store = openAliasStore(temporaryFolder(t), { warn: assert.fail, error: assert.fail })
  let route: 'runtime' | 'aliases' | undefined = 'aliases'
  const imageStatus = async () => undefined
  const { aliases } = createAliases({
    channel: {} as RuntimeChannel,
    cri: { imageStatus } as unknown as CriClient,
    store,
    aliasNames: createAliasNames({
      store,
      imageStatus,
      log: { info: () => {}, warn: assert.fail },
    }),
    naming: { route: async () => route ?? assert.fail('not known'), lastRoute: () => route },
  })
  return {
    store,
    aliases,
    route: (next) => {
      route = next
    },
  }
}
