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
import type { Answer } from './answer.ts'
import type { RankedReference, Resolution, ResolveOptions } from './types.ts'
import { UnresolvedError } from './unresolved.ts'

/** What the doors need of the resolver. */
export interface Resolves {
  resolve(reference: Reference, options: ResolveOptions): Promise<Resolution>
  /** As Resolver.prepare; absent: nothing is known at once. */
  prepare?(reference: Reference, platform: Platform): () => Resolution | undefined
}

/** What the doors need of the runtime: its image of that name or ID, if it has one. */
export interface Node {
  imageStatus(
    image: string,
    options: { readonly signal?: AbortSignal },
  ): Promise<NodeImage | undefined>
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
  readonly signal?: AbortSignal
}

/** One question, one answer, for every door: the text is parsed, the registries are asked, at last the node. */
export class Answers {
  readonly #options: AnswersOptions

  constructor(options: AnswersOptions) {
    this.#options = options
  }

  /**
   * @param input a reference as people write it: `nginx`, `quay.io/team/app:1`, `nginx@sha256:…`
   * @returns what the registries say; when all of them failed, what the node has by that name
   * (`source` is then `node`)
   * @throws ResolveError NAME_INVALID, PLATFORM_INVALID, and all that Resolver.resolve throws
   */
  async answer(input: string, options: AnswerOptions = {}): Promise<Answer> {
    const reference = parseReference(input)
    const platform =
      options.platform === undefined ? this.#options.platform : parsePlatform(options.platform)
    const { all, refresh, signal } = options
    const credentials = options.credentials?.(reference.domain)
    try {
      const resolution = await this.#options.resolver.resolve(reference, {
        platform,
        credentials,
        refresh,
        all,
        signal,
      })
      const answer = toAnswer(input, resolution)
      const node = options.node === true ? await this.#presence(resolution, signal) : undefined
      return node === undefined ? answer : { ...answer, node }
    } catch (thrown) {
      const error = toResolveError(thrown)
      const answer = await this.#lastResort(input, reference, platform, error, signal)
      if (answer === undefined) throw error
      return answer
    }
  }

  /**
   * Reads a question once that will be asked again and again, by callers without credentials.
   *
   * @returns what gives the cache's answer while that is fresh, the same object as long as nothing
   * changes; undefined where the question itself is wrong, which answer() says better
   */
  prepare(input: string, platform: string | undefined): (() => Answer | undefined) | undefined {
    const known = this.#prepared(input, platform)
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
  ): (() => Resolution | undefined) | undefined {
    const { platform: own, resolver } = this.#options
    try {
      const wanted = platform === undefined ? own : parsePlatform(platform)
      return resolver.prepare?.(parseReference(input), wanted)
    } catch {
      return undefined
    }
  }

  /** A runtime in trouble must not take the registries' answer with it. */
  async #presence(
    resolution: Resolution,
    signal: AbortSignal | undefined,
  ): Promise<Answer['node']> {
    const { node } = this.#options
    try {
      const image = await node?.imageStatus(resolution.reference, signalled(signal))
      if (node === undefined) return undefined
      return image === undefined ? { present: false } : { present: true, imageId: image.id }
    } catch {
      return undefined
    }
  }

  async #lastResort(
    input: string,
    reference: Reference,
    platform: Platform,
    error: ResolveError,
    signal: AbortSignal | undefined,
  ): Promise<Answer | undefined> {
    const { node } = this.#options
    const own = formatPlatform(platform) === formatPlatform(this.#options.platform)
    if (node === undefined || !own || error.code === 'CANCELED') return undefined
    const image = await this.#findOnNode(node, reference, signal)
    if (image === undefined) return undefined
    return nodeAnswer(input, reference, platform, image, error, this.#options.now())
  }

  /** A runtime in trouble must not hide why the registries failed. */
  async #findOnNode(
    node: Node,
    reference: Reference,
    signal: AbortSignal | undefined,
  ): Promise<NodeImage | undefined> {
    try {
      return await node.imageStatus(formatReference(reference), signalled(signal))
    } catch {
      return undefined
    }
  }
}

function signalled(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}

/** Field by field: spreading so large an object takes longer than the cache and the HTTP door. */
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

function nodeAnswer(
  input: string,
  reference: Reference,
  platform: Platform,
  image: NodeImage,
  error: ResolveError,
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
    platform,
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
    candidates: error instanceof UnresolvedError ? error.candidates : [],
  }
}

/** Names that the node remembers; no registry stands behind them now. */
function onNode(name: string, kind: 'digest' | 'tag'): RankedReference {
  const registry = name.slice(0, name.indexOf('/'))
  return { reference: name, kind, registry, priority: 0, verified: false }
}
