import { ResolveResponse } from '../../api/v1/resolve.ts'
import { onlyNamed } from '../../api/v1/schema.ts'
import { type ResolveError, toResolveError } from '../errors.ts'
import { formatPlatform, type Platform, parsePlatform } from '../reference/platform.ts'
import {
  formatReference,
  parseReference,
  type Reference,
  repositoryName,
} from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { NodeImage } from '../runtime/types.ts'
import type { Answer, RankedReference, Resolution, ResolveOptions } from './types.ts'
import { candidatesOf, isOutOfReach } from './unresolved.ts'

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
      const answer = { requested: input, ...resolution }
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
        answer = { requested: input, ...found }
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

/**
 * An answer as the HTTP API and the command line write it.
 *
 * @param explain with the attempts
 * @param candidates with what became of every candidate; default: as `explain`
 */
export function toResolveResponse(
  answer: Answer,
  explain: boolean,
  candidates = explain,
): ResolveResponse {
  const { attempts, candidates: reports = [], expiresAt, resolvedAt, ...rest } = answer
  return onlyNamed<ResolveResponse>(ResolveResponse, {
    ...rest,
    digest: answer.digest ?? null,
    manifestDigest: answer.manifestDigest ?? null,
    mediaType: answer.mediaType ?? null,
    resolvedAt: new Date(resolvedAt).toISOString(),
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    ...(explain && { attempts }),
    ...(candidates && { candidates: reports }),
  })
}

/** What the doors need of the runtime: its image of that name or ID, if it has one. */
export interface Node {
  imageStatus(
    image: string,
    options: { readonly signal?: AbortSignal },
  ): Promise<NodeImage | undefined>
}

/** What registries were asked, without an answer. */
interface Unanswered {
  /** As the caller wrote it. */
  readonly input: string
  readonly reference: Reference
  readonly platform: Platform
  readonly error: ResolveError
}

/** What the node itself knows of an image. A runtime in trouble hides nothing of what registries said. */
class NodeView {
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
      return image === undefined ? undefined : answerOfNode(unanswered, image, this.#now())
    } catch {
      return undefined
    }
  }

  #image(name: string, signal: AbortSignal | undefined): Promise<NodeImage | undefined> {
    return this.#node.imageStatus(name, signal === undefined ? {} : { signal })
  }
}

function answerOfNode(
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
    candidates: candidatesOf(error),
  }
}

/** Names that the node remembers; no registry stands behind them now. */
function onNode(name: string, kind: 'digest' | 'tag'): RankedReference {
  const registry = name.slice(0, name.indexOf('/'))
  return { reference: name, kind, registry, priority: 0, verified: false }
}
