import { dockerRef, formatReference, isImageId, parseReference } from '../../reference/reference.ts'
import type { Aliases, ShownNames } from '../types.ts'
import type { AliasStore } from './alias-store.ts'

export type AliasView = Pick<Aliases, 'names' | 'title' | 'reference'>

/** A domain stands in front, so that this is no short form of docker.io's names. */
const WITH_DOMAIN = /^(?:localhost|[^/]*[.:][^/]*)\//
/** cri-dockerd puts `docker-pullable://` before a name, and `docker://` before an ID. */
const SCHEME = /^(?:[a-z-]+:\/\/)?/

/**
 * Shows images by what they were asked for: those names first, and a mirror's name not at all when
 * the runtime has it only because of our pull, as it would be in containerd.
 */
export function createAliasView(
  store: Pick<AliasStore, 'get' | 'namesOf' | 'mirrorsOf' | 'mirrored' | 'isEmpty'>,
): AliasView {
  /** The image that a name is to be translated for; undefined: it stays. */
  function translated(name: string, image: string): string | undefined {
    if (isImageId(name)) return undefined
    const id = store.mirrorsOf(image).length > 0 ? image : store.mirrored(spelled(name))
    if (id === undefined || store.namesOf(id).includes(name)) return undefined
    const mirrors = store.mirrorsOf(id)
    const isDigested = name.includes('@')
    const isMirrors =
      mirrors.includes(spelled(name)) ||
      // An index has the digests of its manifests too.
      (isDigested && mirrors.some((mirror) => repositoryOf(mirror) === repositoryOf(name)))
    return isMirrors ? id : undefined
  }

  /** Of another image now, which the runtime cannot be told. */
  function isOutdated(name: string, id: string): boolean {
    const alias = store.get(name)
    return alias !== undefined && alias.image !== id && alias.over === id
  }

  return {
    names: (image) => {
      if (store.isEmpty()) return image
      const { id } = image
      const own = store.namesOf(id)
      const mirrors = store.mirrorsOf(id)
      const kept = image.repoTags.filter((tag) => {
        const name = spelled(tag)
        return !mirrors.includes(name) && !own.includes(name) && !isOutdated(name, id)
      })
      const visible = new Set([...own, ...kept].map(repositoryOf))
      const hidden = new Set(mirrors.map(repositoryOf).filter((each) => !visible.has(each)))
      const digests = image.repoDigests.filter(
        (digest) => !hidden.has(repositoryOf(digest)) && !own.includes(spelled(digest)),
      )
      const isPlain = own.length === 0 && kept.length === image.repoTags.length
      if (isPlain && digests.length === image.repoDigests.length) return image
      return {
        repoTags: [...own.filter((name) => !name.includes('@')), ...kept],
        repoDigests: [...own.filter((name) => name.includes('@')), ...digests],
      }
    },
    title: (name, image) => {
      const id = translated(name, image)
      if (id === undefined) return name
      const own = store.namesOf(id)
      return own.find((each) => !each.includes('@')) ?? own[0] ?? name
    },
    reference: (text, image) => {
      const [scheme] = SCHEME.exec(text) ?? ['']
      const name = text.slice(scheme.length)
      const id = translated(name, image)
      const own = id === undefined ? [] : store.namesOf(id)
      const digest = name.split('@')[1]
      if (own[0] === undefined || digest === undefined) return text
      const same = own.find((each) => each.endsWith(`@${digest}`))
      return scheme + (same ?? `${repositoryOf(own[0])}@${digest}`)
    },
  }
}

/**
 * The one spelling of a name under which it is kept: `nginx` is `docker.io/library/nginx:latest`,
 * and a digest drops the tag. Undefined for IDs and what is no name.
 */
export function canonicalOf(image: string): string | undefined {
  if (image === '' || isImageId(image)) return undefined
  try {
    return formatReference(dockerRef(parseReference(image)))
  } catch {
    return undefined
  }
}

/** As canonicalOf, quick for names that a runtime gives: Docker alone leaves its own domain out. */
export function spelled(name: string): string {
  return WITH_DOMAIN.test(name) ? name : (canonicalOf(name) ?? name)
}

export function hasName(image: ShownNames, name: string): boolean {
  return [...image.repoTags, ...image.repoDigests].some((each) => spelled(each) === name)
}

function repositoryOf(name: string): string {
  const bare = name.split('@')[0] ?? ''
  const colon = bare.indexOf(':', bare.lastIndexOf('/') + 1)
  return spelled(colon < 0 ? bare : bare.slice(0, colon)).replace(/:latest$/, '')
}
