import { readFile } from 'node:fs/promises'
import type { Candidate } from '../../api/v1/candidate.ts'
import { ImageResolverClient, ImageResolverError } from '../client.ts'
import { ResolveError } from '../errors.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { ImagePlace, PlacesOptions } from '../resolver/availability.ts'
import type { Answer } from '../resolver/types.ts'
import { fromService } from './running-service.ts'

export interface CentralPlace {
  /** `http://` or `https://`, of a service that answers for others. */
  readonly server: string
  /** A file that holds its token; undefined: none is sent. */
  readonly tokenFile?: string | undefined
}

/** Longer than the service takes for any question. */
const LIMIT_MS = 35_000
const MAX_BODY_BYTES = 16 * 1024 * 1024

/**
 * A service elsewhere, which asks its registries with its credentials, in the place of this process.
 *
 * @throws ResolveError CONFIG_INVALID for what is no URL, and a file that cannot be read
 */
export async function openCentral({ server, tokenFile }: CentralPlace) {
  if (!/^https?:\/\/[^/?#@]+\/?$/.test(server)) {
    const message = '--server is http://HOST[:PORT] or https://HOST[:PORT] of a running service'
    throw new ResolveError('CONFIG_INVALID', message)
  }
  const token = tokenFile === undefined ? undefined : await readToken(tokenFile)
  const ending = new AbortController()
  const requests = { HEAD: 0, GET: 0, POST: 0 }
  const client = new ImageResolverClient({
    url: server,
    ...(token !== undefined && { token }),
    fetch: (input, init) => {
      requests.GET += 1
      const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(LIMIT_MS)])
      return boundedFetch(server, input, { ...init, signal })
    },
  })
  let configured: Promise<ReadonlyMap<string, string>> | undefined
  /** Registries by name, with their addresses. */
  const registries = () => {
    configured ??= fromService(client.registries()).then(
      (all) => new Map(all.map(({ address, name }) => [name, address])),
    )
    return configured
  }
  return {
    askedFor: () => [server],
    answer: async (
      input: string,
      { all, platform }: { readonly all?: boolean | undefined; readonly platform?: string } = {},
    ): Promise<Answer> => {
      const asked = { ...(all && { all }), ...(platform !== undefined && { platform }) }
      const answer = await fromService(client.resolve(input, asked))
      const { candidates = [], digest, expiresAt, manifestDigest, mediaType, ...rest } = answer
      return {
        ...rest,
        digest: digest ?? undefined,
        manifestDigest: manifestDigest ?? undefined,
        mediaType: mediaType ?? undefined,
        resolvedAt: Date.parse(answer.resolvedAt),
        expiresAt: expiresAt === null ? undefined : Date.parse(expiresAt),
        attempts: answer.attempts ?? [],
        candidates,
      } as Answer
    },
    places: async (
      reference: Reference,
      { known, platforms = false }: PlacesOptions = {},
    ): Promise<readonly ImagePlace[]> => {
      if (platforms) throw new ResolveError('UNSUPPORTED', NO_PLATFORMS)
      const addresses = await registries()
      const found = client.resolve(formatReference(reference), { all: true })
      const candidates = await found.then(
        (answer) => answer.candidates ?? [],
        (thrown: unknown) => {
          const { candidates: asked = [] } = thrown instanceof ImageResolverError ? thrown : {}
          if (asked.length === 0) return fromService(Promise.reject(thrown))
          return asked
        },
      )
      return candidates.map((candidate) => {
        const place = toPlace(candidate, addresses.get(candidate.registry))
        return known?.(place) ?? place
      })
    },
    // Only registries know, and the service does not ask them for it.
    created: async () => undefined,
    requests: () => requests,
    close: async () => ending.abort(),
  }
}

const NO_PLATFORMS = '--platform asks the registries: it cannot be used with --server'

const STATES: Partial<Readonly<Record<Candidate['outcome'], ImagePlace['state']>>> = {
  ok: 'present',
  not_found: 'absent',
  unauthorized: 'denied',
  denied: 'denied',
}

/** @param address of the registry, where it is configured */
function toPlace(candidate: Candidate, address: string | undefined): ImagePlace {
  const { digest, error, origin, outcome, reference, registry, why } = candidate
  const told = STATES[outcome] ?? 'unknown'
  const state = told === 'present' && digest === undefined ? 'unknown' : told
  const failure = { code: 'UNKNOWN', message: why, ...error } as ImagePlace['error']
  return {
    registry,
    reference,
    origin,
    configured: address !== undefined,
    plainHttp: address?.startsWith('http:') ?? false,
    state,
    ...(state === 'present' && digest !== undefined && { digest }),
    ...((state === 'denied' || state === 'unknown') && failure && { error: failure }),
  }
}

async function readToken(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new ResolveError('CONFIG_INVALID', `${file} cannot be read: ${cause.code}`, { cause })
  })
  return text.trim()
}

/** The token follows no redirect, and no more is read than the service sends. */
async function boundedFetch(
  server: string,
  input: Parameters<typeof fetch>[0],
  init: RequestInit,
): Promise<Response> {
  try {
    const response = await fetch(input, { ...init, redirect: 'error' })
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      if (bytes <= MAX_BODY_BYTES) chunks.push(chunk)
      else throw new RangeError('it answers with more than 16 MiB')
    }
    const { headers, status, statusText } = response
    const body = chunks.length === 0 ? null : Buffer.concat(chunks)
    return new Response(body, { status, statusText, headers: { ...onlyRead(headers) } })
  } catch (thrown) {
    throw noAnswer(server, thrown)
  }
}

function noAnswer(server: string, cause: unknown): ResolveError {
  const { message } = ((cause as Error).cause ?? cause) as Error
  return new ResolveError('UNAVAILABLE', `${server} does not answer: ${message}`, { cause })
}

function onlyRead(headers: Headers): Readonly<Record<string, string>> {
  const wait = headers.get('retry-after')
  return wait === null ? {} : { 'retry-after': wait }
}
