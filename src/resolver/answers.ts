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
import type { Resolver } from './resolver.ts'
import type { Answer, AnyAnswer, RankedReference, ResolveOptions } from './types.ts'
import { candidatesOf, isOutOfReach } from './unresolved-error.ts'

/** What is needed of the container runtime. */
export interface Node {
  /** @param image a name or an ID. @returns undefined: it has no such image */
  imageStatus(
    image: string,
    options: { readonly signal?: AbortSignal },
  ): Promise<NodeImage | undefined>
}

export interface AnswersOptions {
  /** Without `prepare` there is no fast path. */
  readonly resolver: Pick<Resolver, 'resolve'> & Partial<Pick<Resolver, 'prepare'>>
  /** Absent where no runtime is configured. */
  readonly node?: Node
  readonly platform: Platform
  readonly now: () => number
}

export interface AnswerOptions
  extends Pick<
    ResolveOptions,
    'refresh' | 'shared' | 'maxAgeMs' | 'direct' | 'all' | 'unauthenticated' | 'urgent' | 'signal'
  > {
  /** `os/architecture[/variant]`; default: this machine's. */
  readonly platform?: string
  /** Also say whether the node has the image; absent from the answer while no runtime answers. */
  readonly node?: boolean
  /** The caller's own for the domain of the reference; no other registry gets them. */
  readonly credentials?: (domain: string) => Credentials | undefined
}

/** Answers references as text, for every server: parses them, asks the resolver, and last the node. */
export class Answers {
  readonly #options: AnswersOptions

  constructor(options: AnswersOptions) {
    this.#options = options
  }

  /**
   * @param input a reference as people write it: `nginx`, `quay.io/team/app:1`, `nginx@sha256:…`
   * @returns what the registries say; when every one of them was out of reach, what the node has by
   * that name (`source` is then `node`). One that refuses the image or does not have it has answered.
   * @throws ResolveError NAME_INVALID, PLATFORM_INVALID, and all that Resolver.resolve throws
   */
  async answer(input: string, options: AnswerOptions = {}): Promise<Answer> {
    const reference = parseReference(input)
    const { credentials, node: isNodeAsked, platform: text, ...asked } = options
    const platform = text === undefined ? undefined : parsePlatform(text)
    try {
      const resolution = await this.#options.resolver.resolve(reference, {
        ...asked,
        platform,
        credentials: credentials?.(reference.domain),
      })
      const node = isNodeAsked && (await this.#presence(resolution.reference, asked.signal))
      return { requested: input, ...resolution, ...(node && { node }) }
    } catch (thrown) {
      const error = toResolveError(thrown)
      const onNode = await this.#lastResort(reference, platform, error, asked.signal)
      if (onNode === undefined) throw error
      return { requested: input, ...onNode }
    }
  }

  /**
   * As Resolver.prepare.
   *
   * @returns undefined where the question is malformed, for which answer() has the error
   */
  prepare(
    input: string,
    platform: string | undefined,
    unauthenticated = false,
  ): (() => AnyAnswer | undefined) | undefined {
    try {
      const wanted = platform === undefined ? undefined : parsePlatform(platform)
      return this.#options.resolver.prepare?.(parseReference(input), wanted, unauthenticated)
    } catch {
      return undefined
    }
  }

  /** @returns undefined: no runtime answers */
  async #presence(name: string, signal: AbortSignal | undefined): Promise<Answer['node']> {
    if (this.#options.node === undefined) return undefined
    try {
      const image = await this.#image(name, signal)
      return image === undefined ? { present: false } : { present: true, imageId: image.id }
    } catch {
      return undefined
    }
  }

  /**
   * What the node has by that name, which is for its own platform.
   *
   * @returns undefined: nothing, a registry has answered, or the runtime does not
   */
  async #lastResort(
    reference: Reference,
    wanted: Platform | undefined,
    error: ResolveError,
    signal: AbortSignal | undefined,
  ): Promise<AnyAnswer | undefined> {
    const { now, platform } = this.#options
    const isOwn = wanted === undefined || formatPlatform(wanted) === formatPlatform(platform)
    if (!isOwn || error.code === 'CANCELED' || !isOutOfReach(error)) return undefined
    try {
      const image = await this.#image(formatReference(reference), signal)
      return image && answerOfNode(reference, wanted ?? platform, error, image, now())
    } catch {
      return undefined
    }
  }

  async #image(name: string, signal: AbortSignal | undefined): Promise<NodeImage | undefined> {
    return this.#options.node?.imageStatus(name, signal === undefined ? {} : { signal })
  }
}

function answerOfNode(
  reference: Reference,
  platform: Platform,
  error: ResolveError,
  image: NodeImage,
  now: number,
): AnyAnswer {
  const repository = repositoryName(reference)
  const own = image.repoDigests.find((name) => name.startsWith(`${repository}@`))
  return {
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

/** A name that the node has; its registry did not confirm it. */
function onNode(name: string, kind: 'digest' | 'tag'): RankedReference {
  const registry = name.slice(0, name.indexOf('/'))
  return { reference: name, kind, registry, priority: 0, verified: false }
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
