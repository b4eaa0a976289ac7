import { isDeepStrictEqual } from 'node:util'
import type { Config } from './config.ts'

/** What is opened or handed out once; each field as it is written in the file. */
const READ_ONCE: Readonly<Record<string, (config: Config) => unknown>> = {
  shim: ({ shim }) => shim,
  force: ({ force }) => force,
  debug: ({ debug }) => debug,
  image: ({ image }) => image,
  version: ({ version }) => version,
  timeout: ({ timeoutMs }) => timeoutMs,
  'cache.statsLogInterval': ({ cache }) => cache.statsLogIntervalMs,
  'cache.disableStats': ({ cache }) => cache.disableStats,
  portoshim: ({ pauseImage }) => pauseImage,
  'http.listen': ({ http }) => http.listen,
  'http.token': ({ http }) => http.token,
  'http.tokenFile': ({ http }) => http.tokenFile,
  'http.tls': ({ http }) => http.tls,
  'http.rateLimit': ({ http }) => http.rateLimit,
  'mirror.enabled': ({ mirror }) => mirror.enabled,
  'mirror.blobs': ({ mirror }) => mirror.blobs,
  'mirror.blobsPerClient': ({ mirror }) => mirror.blobsPerClient,
}

/**
 * Fields that a running service does not take over from a changed file.
 *
 * @param started what the service was started with
 * @returns their names, in which the two differ; names alone, since some are secrets
 */
export function fieldsForNextStart(started: Config, next: Config): readonly string[] {
  const differing = Object.entries(READ_ONCE)
    .filter(([, read]) => !isDeepStrictEqual(read(started), read(next)))
    .map(([field]) => field)
  return isCriMoved(started, next) ? ['cri', ...differing] : differing
}

/** A runtime that nobody named comes and goes with its socket, which is no change of the file. */
function isCriMoved({ cri: before }: Config, { cri: after }: Config): boolean {
  return before !== undefined && after !== undefined && before !== after
}
