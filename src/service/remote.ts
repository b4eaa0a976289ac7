import { readFile } from 'node:fs/promises'
import type { Candidate } from '../../api/v1/candidate.ts'
import { ImageResolverClient, ImageResolverError } from '../client.ts'
import { ResolveError } from '../errors.ts'
import { formatPlatform } from '../reference/platform.ts'
import { formatReference } from '../reference/reference.ts'
import type { ImagePlace } from '../resolver/availability.ts'
import type { Answer } from '../resolver/types.ts'
import type { OpenedResolver } from './availability.ts'
import { REFERENCES_AT_ONCE, ResolveBatches } from './resolve-batches.ts'
import { fromService } from './running-service.ts'

/** Without a byte: the first result of many may be that long in coming. */
const SILENCE_MS = 120_000
const MAX_BODY_BYTES = 64 * 1024 * 1024

/**
 * A service elsewhere, which asks its registries with its credentials, in the place of this process.
 *
 * @param server `http://` or `https://`
 * @param tokenFile a file that holds its token; undefined: none is sent
 * @throws ResolveError CONFIG_INVALID for what is no URL, and a file that cannot be read
 */
export async function openRemote(
  server: string,
  tokenFile: string | undefined,
): Promise<OpenedResolver> {
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
      requests[init?.method === 'POST' ? 'POST' : 'GET'] += 1
      return boundedFetch(server, input, init, ending.signal)
    },
  })
  const batches = new ResolveBatches(client, ending.signal)
  let configured: Promise<ReadonlyMap<string, string>> | undefined
  /** Registries by name, with their addresses. */
  const registries = () => {
    configured ??= fromService(client.registries()).then(
      (all) => new Map(all.map(({ address, name }) => [name, address])),
    )
    return configured
  }
  const candidatesOf = async (reference: string, platform?: string) => {
    const asked = { verify: 'all', ...(platform !== undefined && { platform }) } as const
    try {
      return (await batches.resolve(reference, asked)).candidates ?? []
    } catch (thrown) {
      const { candidates = [] } = thrown instanceof ImageResolverError ? thrown : {}
      return candidates.length > 0 ? candidates : fromService(Promise.reject(thrown))
    }
  }
  return {
    atOnce: REFERENCES_AT_ONCE,
    askedFor: () => [server],
    answer: async (input, { platform } = {}) => {
      const asked = platform === undefined ? {} : { platform }
      const answer = await fromService(batches.resolve(input, asked))
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
    places: async (reference, { known, platforms = [] } = {}) => {
      const addresses = await registries()
      const wanted = platforms.length === 0 ? [undefined] : platforms.map(formatPlatform)
      const written = formatReference(reference)
      const told = await Promise.all(
        wanted.map(async (platform) => {
          const candidates = await candidatesOf(written, platform)
          return candidates.map((each) => toPlace(each, addresses.get(each.registry), platform))
        }),
      )
      return merged(told).map((place) => known?.(place) ?? place)
    },
    // Only registries know, and the service does not ask them for it.
    created: async () => undefined,
    requests: () => requests,
    close: async () => ending.abort(),
  }
}

const STATES: Partial<Readonly<Record<Candidate['outcome'], ImagePlace['state']>>> = {
  ok: 'present',
  not_found: 'absent',
  unauthorized: 'denied',
  denied: 'denied',
}

/** With these it has the reference, although it is nothing that a node of that platform could run. */
const PRESENT: readonly (string | undefined)[] = ['PLATFORM_UNKNOWN', 'NOT_AN_IMAGE']

/**
 * @param address of the registry, where it is configured
 * @param platform that the service was asked for
 */
function toPlace(candidate: Candidate, address: string | undefined, platform?: string): ImagePlace {
  const { digest, error, origin, outcome, reference, registry, why } = candidate
  const told = PRESENT.includes(error?.code) ? 'present' : (STATES[outcome] ?? 'unknown')
  const state = outcome === 'ok' && digest === undefined ? 'unknown' : told
  const failure = { code: 'UNKNOWN', message: why, ...error } as ImagePlace['error']
  return {
    registry,
    reference,
    origin,
    configured: address !== undefined,
    plainHttp: address?.startsWith('http:') ?? false,
    state,
    ...(state === 'present' && digest !== undefined && { digest }),
    ...(state === 'present' &&
      platform !== undefined && { platforms: outcome === 'ok' ? [platform] : [] }),
    ...((state === 'denied' || state === 'unknown') && failure && { error: failure }),
  }
}

/** What the same places said of each platform, taken together. */
function merged(told: readonly (readonly ImagePlace[])[]): readonly ImagePlace[] {
  const places = new Map<string, ImagePlace>()
  for (const place of told.flat()) {
    const key = `${place.registry} ${place.reference}`
    const before = places.get(key)
    if (before?.state !== 'present') places.set(key, place)
    else {
      const platforms = [...(before.platforms ?? []), ...(place.platforms ?? [])]
      places.set(key, { ...place, ...before, platforms })
    }
  }
  return [...places.values()]
}

async function readToken(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new ResolveError('CONFIG_INVALID', `${file} cannot be read: ${cause.code}`, { cause })
  })
  const token = text.trim()
  // `fetch` would show what it does not take, and this may be the file of another secret.
  if (/^[ -~]+$/.test(token)) return token
  throw new ResolveError('CONFIG_INVALID', `${file} holds no token, which is one line of ASCII`)
}

/** The token follows no redirect; the answer is read as it comes, and no more of it than the service sends. */
async function boundedFetch(
  server: string,
  input: Parameters<typeof fetch>[0],
  init: RequestInit | undefined,
  ending: AbortSignal,
): Promise<Response> {
  const stopping = new AbortController()
  const stop = () => stopping.abort(ending.reason)
  ending.addEventListener('abort', stop)
  const timer = setTimeout(() => {
    stopping.abort(new Error(`nothing has come for ${SILENCE_MS / 1_000} s`))
  }, SILENCE_MS)
  const end = () => {
    clearTimeout(timer)
    ending.removeEventListener('abort', stop)
  }
  const { signal } = stopping
  async function* bounded(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    const reader = body.getReader()
    // Once there is a response the signal of `fetch` may be forgotten (nodejs/undici), and the connection stay open.
    const cancel = () => void reader.cancel(signal.reason).catch(() => {})
    signal.addEventListener('abort', cancel)
    let bytes = 0
    try {
      for (;;) {
        signal.throwIfAborted()
        const { done, value } = await reader.read()
        signal.throwIfAborted()
        if (done) return
        timer.refresh()
        bytes += value.length
        if (bytes > MAX_BODY_BYTES) throw new RangeError('it answers with more than 64 MiB')
        yield value
      }
    } catch (thrown) {
      throw noAnswer(server, thrown)
    } finally {
      end()
      cancel()
    }
  }
  try {
    const response = await fetch(input, { ...init, signal, redirect: 'error' })
    const { body, headers, status, statusText } = response
    if (body === null) end()
    const read = body && ReadableStream.from(bounded(body as ReadableStream<Uint8Array>))
    const about = { status, statusText, headers: { ...onlyRead(headers) } }
    return new Response(read as ConstructorParameters<typeof Response>[0], about)
  } catch (thrown) {
    end()
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
