import { toResolveError } from '../errors.ts'
import { formatPlatform, type Platform, parsePlatform } from '../reference/platform.ts'
import { parseReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import { type Node, NodeView, type Unanswered } from './node-view.ts'
import type { Answer, Resolution, ResolveOptions } from './types.ts'
import { isOutOfReach } from './unresolved.ts'

/** What the doors need of the resolver. */
export interface Resolves {
  resolve(reference: Reference, options: ResolveOptions): Promise<Resolution>
  /** As Resolver.prepare; absent: nothing is known at once. */
  prepare?(
    reference: Reference,
    platform: Platform | undefined,
    stranger: boolean,
  ): () => Resolution | undefined
}

export interface AnswersOptions {
  readonly resolver: Resolves
  /** Absent where no runtime is configured. */
  readonly node?: Node
  readonly platform: Platform
  readonly now: () => number
}

export interface AnswerOptions {
  /** `os/architecture[/variant]`; default: this machine's. */
  readonly platform?: string
  readonly refresh?: boolean
  /** Ask every registry, also after one answered. */
  readonly all?: boolean
  /** Also say whether the node has the image; nothing is said of it while no runtime answers. */
  readonly node?: boolean
  /** The caller's own for the domain of the reference, which alone gets them. */
  readonly credentials?: (domain: string) => Credentials | undefined
  /** As in ResolveOptions. */
  readonly stranger?: boolean
  /** As in ResolveOptions. */
  readonly urgent?: boolean
  readonly signal?: AbortSignal
}

/** One question, one answer, for every door: the text is parsed, the registries are asked, at last the node. */
export class Answers {
  readonly #options: AnswersOptions
  readonly #node: NodeView | undefined

  constructor(options: AnswersOptions) {
    const { node, now } = options
    this.#options = options
    this.#node = node && new NodeView(node, now)
  }

  /**
   * @param input a reference as people write it: `nginx`, `quay.io/team/app:1`, `nginx@sha256:…`
   * @returns what the registries say; when every one of them was out of reach, what the node has by
   * that name (`source` is then `node`). One that refuses the image or does not have it has answered.
   * @throws ResolveError NAME_INVALID, PLATFORM_INVALID, and all that Resolver.resolve throws
   */
  async answer(input: string, options: AnswerOptions = {}): Promise<Answer> {
    const reference = parseReference(input)
    const asked = options.platform === undefined ? undefined : parsePlatform(options.platform)
    const { all, refresh, signal, stranger, urgent } = options
    const credentials = options.credentials?.(reference.domain)
    try {
      const resolution = await this.#options.resolver.resolve(reference, {
        platform: asked,
        credentials,
        refresh,
        all,
        stranger,
        urgent,
        signal,
      })
      const answer = toAnswer(input, resolution)
      const node = options.node && (await this.#node?.presence(resolution.reference, signal))
      return node ? { ...answer, node } : answer
    } catch (thrown) {
      const error = toResolveError(thrown)
      const platform = asked ?? this.#options.platform
      const answer = await this.#lastResort({ input, reference, platform, error }, signal)
      if (answer === undefined) throw error
      return answer
    }
  }

  /**
   * Reads a question once that will be asked again and again, by callers without credentials.
   *
   * @param stranger as in ResolveOptions
   * @returns what gives the cache's answer while that is fresh, the same object as long as nothing
   * changes; undefined where the question itself is wrong, which answer() says better
   */
  prepare(
    input: string,
    platform: string | undefined,
    stranger = false,
  ): (() => Answer | undefined) | undefined {
    const known = this.#prepared(input, platform, stranger)
    if (known === undefined) return undefined
    let resolution: Resolution | undefined
    let answer: Answer | undefined
    return () => {
      const found = known()
      if (found === undefined) return undefined
      if (answer === undefined || found !== resolution) {
        resolution = found
        answer = toAnswer(input, found)
      }
      return answer
    }
  }

  #prepared(
    input: string,
    platform: string | undefined,
    stranger: boolean,
  ): (() => Resolution | undefined) | undefined {
    const { resolver } = this.#options
    try {
      const wanted = platform === undefined ? undefined : parsePlatform(platform)
      return resolver.prepare?.(parseReference(input), wanted, stranger)
    } catch {
      return undefined
    }
  }

  /** What the node has is for its own platform. */
  async #lastResort(
    unanswered: Unanswered,
    signal: AbortSignal | undefined,
  ): Promise<Answer | undefined> {
    const own = formatPlatform(unanswered.platform) === formatPlatform(this.#options.platform)
    const { error } = unanswered
    if (!own || error.code === 'CANCELED' || !isOutOfReach(error)) return undefined
    return this.#node?.answer(unanswered, signal)
  }
}

/** Field by field: spreading so large an object takes longer than the cache and HTTP. */
function toAnswer(requested: string, resolution: Resolution): Answer {
  return {
    requested,
    reference: resolution.reference,
    imageId: resolution.imageId,
    digest: resolution.digest,
    manifestDigest: resolution.manifestDigest,
    mediaType: resolution.mediaType,
    platform: resolution.platform,
    references: resolution.references,
    registry: resolution.registry,
    source: resolution.source,
    resolvedAt: resolution.resolvedAt,
    expiresAt: resolution.expiresAt,
    attempts: resolution.attempts,
    candidates: resolution.candidates ?? [],
  }
}
