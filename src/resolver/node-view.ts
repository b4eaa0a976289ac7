import type { ResolveError } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import { formatReference, type Reference, repositoryName } from '../reference/reference.ts'
import type { NodeImage } from '../runtime/types.ts'
import type { Answer, RankedReference } from './types.ts'
import { storyOf } from './unresolved.ts'

/** What the doors need of the runtime: its image of that name or ID, if it has one. */
export interface Node {
  imageStatus(
    image: string,
    options: { readonly signal?: AbortSignal },
  ): Promise<NodeImage | undefined>
}

/** What registries were asked, without an answer. */
export interface Unanswered {
  /** As the caller wrote it. */
  readonly input: string
  readonly reference: Reference
  readonly platform: Platform
  readonly error: ResolveError
}

/** What the node itself knows of an image. A runtime in trouble hides nothing of what registries said. */
export class NodeView {
  readonly #node: Node
  readonly #now: () => number

  constructor(node: Node, now: () => number) {
    this.#node = node
    this.#now = now
  }

  /** @returns undefined: it does not answer */
  async presence(reference: string, signal: AbortSignal | undefined): Promise<Answer['node']> {
    try {
      const image = await this.#image(reference, signal)
      return image === undefined ? { present: false } : { present: true, imageId: image.id }
    } catch {
      return undefined
    }
  }

  /** @returns what it has by that name; undefined: nothing, or it does not answer */
  async answer(
    unanswered: Unanswered,
    signal: AbortSignal | undefined,
  ): Promise<Answer | undefined> {
    try {
      const image = await this.#image(formatReference(unanswered.reference), signal)
      return image === undefined ? undefined : toAnswer(unanswered, image, this.#now())
    } catch {
      return undefined
    }
  }

  #image(name: string, signal: AbortSignal | undefined): Promise<NodeImage | undefined> {
    return this.#node.imageStatus(name, signal === undefined ? {} : { signal })
  }
}

function toAnswer(
  { input, reference, platform, error }: Unanswered,
  image: NodeImage,
  now: number,
): Answer {
  const repository = repositoryName(reference)
  const own = image.repoDigests.find((name) => name.startsWith(`${repository}@`))
  return {
    requested: input,
    reference: formatReference(reference),
    imageId: image.id,
    digest: own?.slice(repository.length + 1),
    manifestDigest: undefined,
    mediaType: undefined,
    platform: { ...platform, assumed: true },
    references: [
      ...image.repoDigests.map((name) => onNode(name, 'digest')),
      ...image.repoTags.map((name) => onNode(name, 'tag')),
    ],
    registry: 'node',
    source: 'node',
    resolvedAt: now,
    expiresAt: undefined,
    node: { present: true, imageId: image.id },
    attempts: error.attempts,
    candidates: storyOf(error),
  }
}

/** Names that the node remembers; no registry stands behind them now. */
function onNode(name: string, kind: 'digest' | 'tag'): RankedReference {
  const registry = name.slice(0, name.indexOf('/'))
  return { reference: name, kind, registry, priority: 0, verified: false }
}
