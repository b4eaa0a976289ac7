import { type ErrorCode, ResolveError } from '../../errors.ts'
import { toFailure } from '../error-response.ts'
import type { MirrorKind } from './path.ts'

/** An error as clients of registries read it (distribution-spec, "Error Codes"). */
export interface MirrorFailure {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: { readonly errors: readonly [{ readonly code: string }] }
  /** For the log, never for the body. */
  readonly unexpected?: unknown
}

interface Meaning {
  readonly status: number
  readonly code: string
}

const UNKNOWN: Readonly<Record<MirrorKind, string>> = {
  manifests: 'MANIFEST_UNKNOWN',
  blobs: 'BLOB_UNKNOWN',
  tags: 'NAME_UNKNOWN',
  referrers: 'NAME_UNKNOWN',
}

/** Milliseconds after which a blob that got no slot may be asked for again. */
const BUSY_RETRY_AFTER_MS = 10_000

/** No slot for a blob became free in time. */
export class BlobsBusy extends ResolveError {
  constructor() {
    const message = 'as many blobs are being sent as mirror.blobs and mirror.blobsPerClient allow'
    super('UNAVAILABLE', message, { retryAfterMs: BUSY_RETRY_AFTER_MS })
  }
}

/** Where a client of a registry has to understand something else than one of our own API. */
const MEANINGS: Partial<Record<ErrorCode, Meaning>> = {
  // A 401 asks for the client's credentials, which are of no use here: they go nowhere.
  UNAUTHORIZED: { status: 403, code: 'DENIED' },
  UNSUPPORTED: { status: 404, code: 'UNSUPPORTED' },
  NOT_AN_IMAGE: { status: 404, code: 'UNSUPPORTED' },
}

/**
 * Turns anything thrown into an answer.
 *
 * @param kind of what was asked for; absent: that could not be read
 */
export function mirrorFailure(thrown: unknown, kind: MirrorKind = 'manifests'): MirrorFailure {
  const failure = toFailure(thrown)
  if (!(thrown instanceof ResolveError)) return asFailure(failure, {})
  if (thrown instanceof BlobsBusy) return asFailure(failure, { status: 503 })
  if (thrown.code === 'MANIFEST_UNKNOWN') {
    return asFailure(failure, { status: 404, code: UNKNOWN[kind] })
  }
  // Before any registry was asked it is the client's own that is wrong.
  const isAnswer = thrown.attempts.length > 0 || thrown.step !== undefined
  if (thrown.code === 'DIGEST_INVALID' && !isAnswer) {
    return asFailure(failure, { status: 400 })
  }
  return asFailure(failure, MEANINGS[thrown.code] ?? {})
}

/** For writing, which a mirror does not. */
export function methodFailure(method: string): MirrorFailure {
  const message = `this is a mirror to pull from, which does not take ${method}: push to the registry itself`
  const failure = toFailure(new ResolveError('UNSUPPORTED', message))
  const headers = { ...failure.headers, allow: 'GET, HEAD', connection: 'close' }
  return asFailure({ ...failure, headers }, { status: 405 })
}

/** For our own request, which came back to us (RFC 5842, 7.2). */
export function loopFailure(): MirrorFailure {
  const how = 'take the address that leads here out of `registries`'
  const message = `this service is asking itself: ${how}`
  return asFailure(toFailure(new ResolveError('UNAVAILABLE', message)), { status: 508 })
}

/** For a path that is none of a registry's. */
export function pathFailure(path: string): MirrorFailure {
  const message = `there is no /v2/${path.slice(0, 200)} here: manifests, blobs, tags/list and referrers are served`
  return asFailure(toFailure(new ResolveError('UNSUPPORTED', message)), { status: 404 })
}

function asFailure(
  { status, headers, body, unexpected }: ReturnType<typeof toFailure>,
  meaning: Partial<Meaning>,
): MirrorFailure {
  const [first] = body.errors
  const error = { ...first, code: meaning.code ?? first?.code ?? 'UNKNOWN' }
  return {
    status: meaning.status ?? status,
    headers,
    body: { errors: [error] },
    ...(unexpected === undefined ? {} : { unexpected }),
  }
}
