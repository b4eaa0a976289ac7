import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import type { CriVersion } from '../runtime/types.ts'
import { askedVersions, type SpokenVersions, type VersionAnswer } from '../runtime/versions.ts'
import { statusOf } from './headers.ts'
import type { MessageEdit } from './rewrite-frames.ts'
import { withString } from './wire.ts'

const CRI_PATH = /^\/runtime\.(v1|v1alpha2)\./
const VERSION_PATH = /\.RuntimeService\/Version$/
const RUNTIME_API_VERSION = 4
const FRAME_HEADER_BYTES = 5
const UNIMPLEMENTED = 12
/** A runtime that is too busy to say its version in that time is asked by the next call again. */
const ASK_LIMIT_MS = 1_000

/** The version of CRI that a path belongs to; undefined: it is none of CRI. */
export function versionOf(path: string): CriVersion | undefined {
  return CRI_PATH.exec(path)?.[1] as CriVersion | undefined
}

/** The same method in another version. Messages of both are the same on the wire. */
export function inVersion(path: string, version: CriVersion): string {
  return path.replace(CRI_PATH, `/runtime.${version}.`)
}

/**
 * What makes an answer fit for a caller of another version: `runtime_api_version` in that of
 * Version, by which clients know that they were understood.
 *
 * @returns undefined for methods whose answers are fit as they are
 */
export function answerFor(path: string, version: CriVersion): MessageEdit | undefined {
  if (!VERSION_PATH.test(path)) return undefined
  return (message) => withString(message, RUNTIME_API_VERSION, version)
}

/** Asks the runtime at the other end of a session; what holds there ends with it. */
export function versionsOn(session: ClientHttp2Session): SpokenVersions {
  return askedVersions((version) => askVersion(session, version))
}

function askVersion(session: ClientHttp2Session, version: CriVersion): Promise<VersionAnswer> {
  return new Promise((resolve) => {
    let stream: ClientHttp2Stream
    try {
      stream = session.request({
        ':method': 'POST',
        ':path': `/runtime.${version}.RuntimeService/Version`,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
    } catch {
      return resolve('unknown')
    }
    let status: number | undefined
    const limit = setTimeout(() => stream.destroy(), ASK_LIMIT_MS)
    stream.on('error', () => {})
    for (const event of ['response', 'trailers'] as const) {
      stream.once(event, (headers) => {
        if (headers['grpc-status'] !== undefined) status = statusOf(headers)
      })
    }
    stream.once('close', () => {
      clearTimeout(limit)
      if (status === 0) resolve('served')
      else resolve(status === UNIMPLEMENTED ? 'unimplemented' : 'unknown')
    })
    stream.resume()
    stream.end(Buffer.alloc(FRAME_HEADER_BYTES))
  })
}
