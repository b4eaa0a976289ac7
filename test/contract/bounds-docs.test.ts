import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { MirrorFields } from '../../api/v1/config-sections.ts'
import {
  HTTP_LIMITS,
  MAX_BATCH_BODY_BYTES,
  MAX_NAME_CHARACTERS,
  MAX_REVIEW_BODY_BYTES,
} from '../../src/http/limits.ts'
import { MIRROR_LIMITS as MIRROR } from '../../src/http/mirror/context.ts'
import { LIMITS } from '../../src/http2/limits.ts'
import { ATTEMPT_TIMEOUT_MS } from '../../src/registry/transport/transport.ts'

const PAGE = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8')
const KIB = 1024
const MIB = 1024 * KIB

const number = (value: number): string => value.toLocaleString('en-US')
const bytes = (value: number): string =>
  value % MIB === 0 ? `${value / MIB} MiB` : `${value / KIB} KiB`
const time = (ms: number): string =>
  ms % 60_000 === 0 ? `${ms / 60_000} minute` : `${ms / 1_000} s`

/** The beginning of each row of the page, and the figures that it has, in their order. */
const ROWS: readonly (readonly [string, readonly string[]])[] = [
  [
    'connections',
    [
      number(HTTP_LIMITS.maxConnectionsPerClient),
      number(HTTP_LIMITS.maxConnections),
      number(HTTP_LIMITS.reservedConnections),
    ],
  ],
  ['requests that wait on one connection', [number(HTTP_LIMITS.maxPipelined)]],
  [
    'answers that the client does not take off',
    [
      bytes(HTTP_LIMITS.maxUnreadBytesPerClient),
      time(HTTP_LIMITS.unreadTimeoutMs),
      bytes(HTTP_LIMITS.maxUnreadBytes),
    ],
  ],
  [
    '`POST /resolve` at one time',
    [number(HTTP_LIMITS.maxBatchesPerClient), number(HTTP_LIMITS.maxBatches)],
  ],
  [
    '`POST /admission/pin` at one time',
    [
      number(HTTP_LIMITS.maxReviewsPerClient),
      number(HTTP_LIMITS.maxReviews),
      bytes(MAX_REVIEW_BODY_BYTES),
    ],
  ],
  ['references of these', [number(HTTP_LIMITS.maxBatchedReferences)]],
  ['results of one of these', [number(HTTP_LIMITS.maxResultsAhead)]],
  [
    'blobs that `/v2/` sends',
    [
      number(MirrorFields.properties.blobsPerClient.default),
      time(MIRROR.silenceMs),
      number(MirrorFields.properties.blobs.default),
      time(MIRROR.totalMs),
      time(ATTEMPT_TIMEOUT_MS),
      time(MIRROR.blobWaitMs),
    ],
  ],
  ["characters of an image's name", [number(MAX_NAME_CHARACTERS)]],
  ['URL and headers', [bytes(HTTP_LIMITS.maxHeaderBytes), time(HTTP_LIMITS.headersTimeoutMs)]],
  [
    'body',
    [
      bytes(HTTP_LIMITS.maxBodyBytes),
      bytes(MAX_BATCH_BODY_BYTES),
      time(HTTP_LIMITS.requestTimeoutMs),
    ],
  ],
  ['a connection without a request', [time(HTTP_LIMITS.keepAliveTimeoutMs)]],
  ['calls at once of a client', [number(LIMITS.streams)]],
  ['headers of a call', [bytes(LIMITS.headerListBytes)]],
  ['headers of all calls', [bytes(LIMITS.callBytes), bytes(LIMITS.streamCostBytes)]],
  ['bodies on the way to the runtime', [bytes(LIMITS.connectionWindowBytes.server)]],
  ['all that is held for a client', [bytes(LIMITS.queuedBytes)]],
  ['the same for all clients', [bytes(LIMITS.queuedBytesInAll)]],
  ['acknowledgements', [bytes(LIMITS.unreadBytes)]],
  [
    'frames that bring no call forward',
    [
      number(LIMITS.idleFrames),
      number(LIMITS.idleFramesPerSecond),
      number(LIMITS.idleFramesPerAnswer),
    ],
  ],
  ['time in which the runtime has to begin', [time(LIMITS.settingsMs)]],
]

for (const [beginning, figures] of ROWS) {
  test(`docs/limits.md has the figures of the program: ${beginning}`, () => {
    const row = PAGE.split('\n').find((line) => line.startsWith(`| ${beginning}`)) ?? ''
    let at = 0
    for (const figure of figures) {
      const found = new RegExp(`(?<![\\d,])${figure}(?![\\d,]\\d)`).exec(row.slice(at))
      assert.ok(found, `${figure} is not in its place in: ${row}`)
      at += found.index + figure.length
    }
  })
}
