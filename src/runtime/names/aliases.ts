import { type CallOptions, rawMethod } from '../call.ts'
import type { RuntimeChannel } from '../channel.ts'
import type { CriClient } from '../cri-client.ts'
import type { Aliases, NodeImage } from '../types.ts'
import type { AliasNames } from './alias-names.ts'
import type { AliasStore } from './alias-store.ts'
import { canonicalOf, createAliasView, spelled } from './alias-view.ts'
import type { Naming } from './naming.ts'

export interface AliasesOptions {
  readonly channel: Pick<RuntimeChannel, 'call'>
  readonly cri: CriClient
  readonly store: AliasStore
  readonly aliasNames: AliasNames
  readonly naming: Pick<Naming, 'route' | 'lastRoute'>
}

/**
 * The runtime with the names that it does not keep itself. Where it keeps them, everything here is
 * what the runtime says.
 */
export function createAliases({ channel, cri, store, aliasNames, naming }: AliasesOptions): {
  readonly aliases: Aliases
  readonly named: CriClient
} {
  const view = createAliasView(store)
  const locate: AliasNames['locate'] = async (image, options) =>
    (await naming.route()) === 'runtime' ? { kind: 'asked' } : aliasNames.locate(image, options)

  async function shown(image: NodeImage): Promise<NodeImage> {
    if ((await naming.route()) === 'runtime') return image
    const { repoTags, repoDigests } = view.names(image)
    return { ...image, repoTags, repoDigests }
  }

  async function imageStatus(
    image: string,
    options: CallOptions = {},
  ): Promise<NodeImage | undefined> {
    const located = await locate(image, questionOf(options))
    if (located.kind === 'absent') return undefined
    const found = await cri.imageStatus(located.kind === 'image' ? located.id : image, options)
    return found === undefined ? undefined : shown(found)
  }

  const aliases: Aliases = {
    route: naming.route,
    lastRoute: naming.lastRoute,
    isEmpty: store.isEmpty,
    ...view,
    locate,
    idOf: (image) => store.get(canonicalOf(image) ?? '')?.image,
    imageStatus: async (request, options) => {
      const path = `/runtime.${await cri.version()}.ImageService/ImageStatus`
      return channel.call(rawMethod(path), request, options)
    },
    mark: store.mark,
    sweep: (images, mark) =>
      store.sweep(
        images.map(({ id, names }) => ({ id, names: names.map(spelled) })),
        mark,
      ),
  }
  const named: CriClient = {
    ...cri,
    imageStatus,
    listImages: async (options) => Promise.all((await cri.listImages(options)).map(shown)),
    removeImage: async (image, options) => {
      // containerd takes any name or ID, and removes all names.
      if ((await naming.route()) === 'runtime') return cri.removeImage(image, options)
      const found = await imageStatus(image, options)
      if (found === undefined) return
      await cri.removeImage(found.id, options)
      await store.remove(found.id)
    },
  }
  return { aliases, named }
}

function questionOf({ signal }: CallOptions): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}
