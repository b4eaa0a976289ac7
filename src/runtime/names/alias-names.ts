import { ResolveError } from '../../errors.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { ImageNames, Located, NamingOptions, NodeImage, WholeImage } from '../types.ts'
import type { AliasStore } from './alias-store.ts'
import { canonicalOf, hasName, spelled } from './alias-view.ts'
import { createNameRepair } from './name-repair.ts'

export interface AliasNames extends ImageNames {
  /** Looks whether the image is still there, and forgets its names when it is not. */
  locate(image: string, options?: NamingOptions): Promise<Located>
}

export interface AliasNamesOptions {
  readonly store: AliasStore
  /** ImageStatus of the runtime itself. */
  readonly imageStatus: (image: string, options: NamingOptions) => Promise<NodeImage | undefined>
  readonly log: Pick<Logger, 'info' | 'warn'>
  /** Milliseconds of a clock that never jumps. */
  readonly now?: () => number
  readonly wait?: (ms: number) => Promise<unknown>
}

const ASKED: Located = { kind: 'asked' }
const ABSENT: Located = { kind: 'absent' }

/**
 * Names for images of a runtime that lets no names be given: they are kept here, and shown by
 * rewriting the runtime's answers. A process or a runtime that is killed between the runtime's pull
 * and the record leaves a name of the mirror behind, and a note of it: the record is made as soon as
 * the runtime answers again.
 */
export function createAliasNames(options: AliasNamesOptions): AliasNames {
  const { imageStatus, log, now, store, wait } = options
  /** Pulls under way, by the mirror's name. */
  const active = new Map<string, number>()
  const repairs = createNameRepair({
    left: async () =>
      [...store.pending()].filter(([mirror, wanted]) => !active.has(mirror) && wanted.length > 0),
    repair,
    forget: (mirror) => {
      if (!active.has(mirror)) store.abandon(mirror)
    },
    failed: (err) => log.warn({ err }, 'what an interrupted pull had left stays for now'),
    now,
    wait,
  })

  async function repair(mirror: string, wanted: readonly string[]): Promise<boolean> {
    const image = await imageStatus(mirror, {})
    if (image === undefined || !hasName(image, mirror)) return false
    // A name that stands for another image was given since, so it is the newer one.
    const names = wanted.filter((name) => {
      const [, digest] = name.split('@')
      const isRight =
        digest === undefined ||
        [mirror, ...image.repoDigests].some((each) => each.endsWith(`@${digest}`))
      return isRight && (store.get(name)?.image ?? image.id) === image.id
    })
    await record(image, names, names.includes(mirror) ? undefined : mirror, undefined)
    log.info({ name: mirror, names }, 'ended what an interrupted pull had left')
    return true
  }

  function entered(mirror: string): () => void {
    active.set(mirror, (active.get(mirror) ?? 0) + 1)
    return () => {
      const others = (active.get(mirror) ?? 1) - 1
      if (others > 0) active.set(mirror, others)
      else active.delete(mirror)
    }
  }

  /** Another image that the runtime itself has under a name. */
  async function holder(name: string, id: string, signal: AbortSignal | undefined) {
    const image = await imageStatus(name, signal === undefined ? {} : { signal })
    const isOther = image !== undefined && image.id !== id && hasName(image, name)
    return isOther ? image.id : undefined
  }

  async function record(
    image: NodeImage,
    names: readonly string[],
    mirror: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const named = await Promise.all(
      names.map(async (name) => {
        const over = name.includes('@') ? undefined : await holder(name, image.id, signal)
        return { name, over }
      }),
    )
    await store.record({ image: image.id, names: named, mirror })
  }

  async function withLease(
    mirrorName: string,
    ...lease: [() => Promise<string>, readonly string[], NamingOptions?]
  ): Promise<string> {
    const leave = entered(mirrorName)
    try {
      return await leased(mirrorName, ...lease)
    } finally {
      leave()
      if (store.isPending(mirrorName)) repairs.needed()
    }
  }

  async function leased(
    mirrorName: string,
    pull: () => Promise<string>,
    wanted: readonly string[],
    options: NamingOptions = {},
  ): Promise<string> {
    const before = await imageStatus(mirrorName, options)
    const wasThere = before !== undefined && hasName(before, mirrorName)
    const isOurs =
      !wasThere || store.isPending(mirrorName) || store.mirrored(mirrorName) !== undefined
    if (!wasThere) await store.intend(mirrorName, wanted)
    // Where it fails the runtime may have the image all the same: that is looked at later.
    const imageRef = await pull()
    const image = (await imageStatus(mirrorName, {})) ?? (await imageStatus(imageRef, {}))
    if (image === undefined) {
      throw new ResolveError(
        'UNAVAILABLE',
        `${mirrorName} was pulled, but the runtime does not have it: it was removed meanwhile`,
      )
    }
    checkDigests(image, mirrorName, wanted)
    const isHidden = isOurs && !wanted.includes(mirrorName)
    await record(image, wanted, isHidden ? mirrorName : undefined, undefined)
    return image.id
  }

  async function locate(image: string, options: NamingOptions = {}): Promise<Located> {
    const name = canonicalOf(image)
    if (name === undefined) return ASKED
    const alias = store.get(name)
    // A mirror's name is found, too, although it is not shown.
    if (alias === undefined) return ASKED
    const [found, native] = await Promise.all([
      alias.image === undefined ? undefined : imageStatus(alias.image, options),
      // A runtime may refuse a name that it would have to complete; ours is complete.
      imageStatus(name, options).catch(() => undefined),
    ])
    const owner = native !== undefined && hasName(native, name) ? native.id : undefined
    if (owner !== undefined && owner !== alias.image && owner !== alias.over) {
      // Pulled past us since, or by a request that went through as it came.
      store.drop(name)
      return ASKED
    }
    if (alias.image !== undefined && found === undefined) store.forget(alias.image)
    if (found !== undefined) return { kind: 'image', id: found.id }
    return owner === undefined ? ASKED : ABSENT
  }

  /** These runtimes say of no image that they have only a part of it. */
  async function whole(name: string, options: NamingOptions = {}): Promise<WholeImage | undefined> {
    const located = await locate(name, options)
    if (located.kind === 'absent') return undefined
    const image = await imageStatus(located.kind === 'image' ? located.id : name, options)
    if (image === undefined) return undefined
    const { id, repoDigests, repoTags } = image
    // What has been given to another image since is not this one's, whatever the runtime says.
    const own = [...repoTags, ...repoDigests]
      .map(spelled)
      .filter((each) => (store.get(each)?.image ?? id) === id)
    const names = [...store.namesOf(id), ...own]
    return names.includes(name) ? { id, names, target: undefined } : undefined
  }

  return {
    available: async () => true,
    settle: repairs.settle,
    withLease,
    name: async (existing, wanted, { signal } = {}) => {
      const image = await imageStatus(existing, signal === undefined ? {} : { signal })
      if (image === undefined) return false
      checkDigests(image, existing, wanted)
      await record(image, wanted, undefined, signal)
      return true
    },
    whole,
    locate,
  }
}

/** The runtime has checked a digest that it was asked for. */
function checkDigests(image: NodeImage, pulled: string, wanted: readonly string[]): void {
  for (const name of wanted) {
    const [, digest] = name.split('@')
    if (digest === undefined || pulled.endsWith(`@${digest}`)) continue
    if (image.repoDigests.some((each) => each.endsWith(`@${digest}`))) continue
    const has = image.repoDigests.join(', ') || 'no digest'
    throw new ResolveError(
      'DIGEST_INVALID',
      `the runtime has ${has} for ${pulled} where ${digest} was asked for`,
    )
  }
}
