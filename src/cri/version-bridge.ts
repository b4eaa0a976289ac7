import type { Connection } from '../http2/connection.ts'
import { ERROR_CODE } from '../http2/frames.ts'
import { type HeaderList, headerValue } from '../http2/headers.ts'
import type { CriVersion } from '../runtime/types.ts'
import { askedVersions, type SpokenVersions } from '../runtime/versions.ts'
import type { Logger } from '../telemetry/log.ts'
import { PREFIX_BYTES, requestHeaders, statusOf } from './grpc.ts'
import { type BodyEdit, bodyEdit } from './rewrite/body-edit.ts'
import { withString } from './wire.ts'

const VERSION_PATH = /\.RuntimeService\/Version$/
const RUNTIME_API_VERSION = 4
const UNIMPLEMENTED = 12
/** A runtime that does not answer in this time is asked again by the next call. */
const ASK_LIMIT_MS = 1_000

/** @returns the gRPC code of the answer to an empty message; undefined: none within the limit */
export type AskStatus = (path: string, limitMs: number) => Promise<number | undefined>

/** The version of CRI of a path; undefined: not CRI. */
export function versionOf(path: string): CriVersion | undefined {
  if (path.startsWith('/runtime.v1.')) return 'v1'
  return path.startsWith('/runtime.v1alpha2.') ? 'v1alpha2' : undefined
}

/**
 * A request in the version that the runtime serves. Messages of both versions are the same on the wire,
 * except `runtime_api_version` in the answer of Version, which clients compare with their own.
 *
 * @param version undefined: the one of the path
 */
export function bridged(
  list: HeaderList,
  path: string,
  version: CriVersion | undefined,
  log: Pick<Logger, 'warn' | 'error'>,
): { readonly request: HeaderList; readonly edit?: BodyEdit } {
  const asked = versionOf(path)
  if (asked === undefined || version === undefined || asked === version) {
    return { request: requestHeaders(list) }
  }
  const request = requestHeaders(list, path.replace(`.${asked}.`, `.${version}.`))
  if (!VERSION_PATH.test(path)) return { request }
  const edit = bodyEdit((message) => withString(message, RUNTIME_API_VERSION, asked), log)
  return { request, edit }
}

/** Asks the runtime at the end of a connection; the answers are valid as long as the connection. */
export function versionsOn(ask: AskStatus): SpokenVersions {
  return askedVersions(async (version) => {
    const status = await ask(`/runtime.${version}.RuntimeService/Version`, ASK_LIMIT_MS)
    if (status === 0) return 'served'
    return status === UNIMPLEMENTED ? 'unimplemented' : 'unknown'
  })
}

/** Makes calls of this process on a connection to a runtime, beside those of its client. */
export function askOn(connection: Pick<Connection, 'open'>): AskStatus {
  return (path, limitMs) =>
    new Promise((resolve) => {
      let status: number | undefined
      const limit = setTimeout(() => stream.reset(ERROR_CODE.cancel), limitMs)
      const stream = connection.open({
        onHeaders: (list) => {
          if (headerValue(list, 'grpc-status') !== undefined) status = statusOf(list)
        },
        onData: (bytes) => stream.consumed(bytes.length),
        onDrain: () => {},
        onEnd: () => {
          clearTimeout(limit)
          resolve(status)
        },
      })
      const pseudo = [':method', 'POST', ':scheme', 'http', ':path', path]
      const fields = [...pseudo, 'content-type', 'application/grpc', 'te', 'trailers']
      stream.begin(requestHeaders({ fields }), false)
      stream.sendData(Buffer.alloc(PREFIX_BYTES), true)
    })
}
