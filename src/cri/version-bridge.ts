import type { CriVersion } from '../runtime/types.ts'
import { askedVersions, type SpokenVersions, type VersionAnswer } from '../runtime/versions.ts'
import type { AskStatus } from './ask.ts'
import type { MessageEdit } from './rewrite/body-edit.ts'
import { withString } from './wire.ts'

const CRI_PATH = /^\/runtime\.(v1|v1alpha2)\./
const VERSION_PATH = /\.RuntimeService\/Version$/
const RUNTIME_API_VERSION = 4
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

/** Asks the runtime at the other end of a connection; what holds there ends with it. */
export function versionsOn(ask: AskStatus): SpokenVersions {
  return askedVersions(async (version): Promise<VersionAnswer> => {
    const status = await ask(`/runtime.${version}.RuntimeService/Version`, ASK_LIMIT_MS)
    if (status === 0) return 'served'
    return status === UNIMPLEMENTED ? 'unimplemented' : 'unknown'
  })
}
