import {
  buildImage,
  buildIndex,
  type Content,
  content,
  DOCKER_MANIFEST,
  OCI_MANIFEST,
} from '../support/images.ts'
import type { Step } from '../support/scripted-registry.ts'
import { type Fault, GOOD, NOBODYS_DIGEST, serving, WHO } from './fault.ts'
import {
  always,
  closedTokenService,
  cuttingTls,
  movedTokenService,
  nameless,
  redirecting,
  redirectingToTokens,
  refusing,
  scripted,
  tokenService,
  unguarded,
  withCertificate,
} from './sick-registries.ts'

const PAUSE_SECONDS = 30
const OTHER = buildImage({ seed: 'other' })
const FOREIGN = buildIndex([buildImage({ platform: { os: 'linux', architecture: 's390x' } })])
const TOO_LARGE = Buffer.alloc(4 * 1024 * 1024 + 1, ' ')

const DEAD = { code: 'UNAVAILABLE', outcome: 'unreachable', remembered: 'dead' } as const
const BROKEN = { code: 'UNAVAILABLE', outcome: 'server_error', remembered: 'dead' } as const
const SILENT = {
  code: 'DEADLINE_EXCEEDED',
  outcome: 'timeout',
  remembered: 'dead',
  slow: true,
} as const
const PARKED = { code: 'TOOMANYREQUESTS', outcome: 'rate_limited', remembered: 'parked' } as const
const NONSENSE = { code: 'MANIFEST_INVALID', outcome: 'invalid' } as const
const LIAR = { code: 'DIGEST_INVALID', outcome: 'invalid' } as const
const CLOSED = { code: 'UNAUTHORIZED', outcome: 'unauthorized' } as const
const DENYING = { code: 'DENIED', outcome: 'denied' } as const
const WELL = { outcome: 'ok' } as const

/** A manifest that does not come to its end. */
function body(ends: NonNullable<Step['ends']>): Step {
  const headers = { 'content-type': OCI_MANIFEST, 'content-length': String(GOOD.bytes.length) }
  const part = GOOD.bytes.subarray(0, 10)
  return { status: 200, headers, body: part, ends, always: true }
}

function manifest(bytes: Buffer | string): Step {
  return { status: 200, headers: { 'content-type': OCI_MANIFEST }, body: bytes, always: true }
}

const ARTIFACT = content(OCI_MANIFEST, {
  schemaVersion: 2,
  mediaType: OCI_MANIFEST,
  artifactType: 'application/vnd.example.model',
  config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: NOBODYS_DIGEST, size: 2 },
  layers: [],
})
const UNTYPED = content(DOCKER_MANIFEST, {
  schemaVersion: 2,
  mediaType: DOCKER_MANIFEST,
  config: { mediaType: 'application/octet-stream', digest: NOBODYS_DIGEST, size: 2 },
  layers: [],
})
const SCHEMA1 = content('application/vnd.docker.distribution.manifest.v1+json', {
  schemaVersion: 1,
  fsLayers: [],
})
/** More than a hedge delay each, and more than a probe budget together. */
const SLOW_MS = 1_200

/** What a registry refuses by HEAD and gives by GET. */
function refusedHead(status: number): Fault {
  return {
    name: `answers ${status} to HEAD alone`,
    ...WELL,
    sent: 2,
    asks: 'known',
    start: scripted({ on: { method: 'HEAD' }, status, always: true }, ...serving(GOOD)),
  }
}

function served({ bytes, mediaType }: Content): Step {
  return { status: 200, headers: { 'content-type': mediaType }, body: bytes, always: true }
}

/** What can be wrong with a registry. A question begins with a request without credentials. */
export const FAULTS: readonly Fault[] = [
  { name: 'refuses connections', ...DEAD, sent: 0, start: refusing },
  // Some name servers take their time to say so.
  { name: 'has a name that nobody knows', ...DEAD, sent: 0, slow: true, start: nameless },
  {
    name: 'takes the request and never answers',
    ...SILENT,
    sent: 1,
    start: unguarded({ ends: 'hang', always: true }),
  },
  {
    name: 'has a certificate for another name',
    ...DEAD,
    sent: 0,
    start: withCertificate([192, 0, 2, 1], { trusted: true }),
  },
  {
    name: 'has a certificate of an unknown authority',
    ...DEAD,
    sent: 0,
    start: withCertificate([127, 0, 0, 1], { trusted: false }),
  },
  { name: 'cuts the TLS handshake', ...DEAD, sent: 0, start: cuttingTls },
  {
    name: 'answers 404',
    code: 'MANIFEST_UNKNOWN',
    outcome: 'not_found',
    sent: 2,
    start: always(404),
  },
  {
    name: 'answers 401 to the right credentials',
    ...CLOSED,
    sent: 2,
    start: always(401, { 'www-authenticate': 'Basic realm="closed"' }),
  },
  {
    name: 'has a token service that never answers',
    ...SILENT,
    sent: 2,
    start: tokenService({ ends: 'hang', always: true }),
  },
  {
    name: 'has a token service that answers 500',
    ...BROKEN,
    sent: 2,
    start: tokenService({ status: 500, always: true }),
  },
  {
    name: 'has a token service that lets nobody in',
    ...CLOSED,
    sent: 2,
    start: tokenService({ status: 401, always: true }),
  },
  {
    name: 'has a token service that refuses connections',
    ...DEAD,
    sent: 1,
    start: closedTokenService,
  },
  { name: 'answers 403', ...DENYING, sent: 2, start: always(403) },
  {
    name: 'knows no HEAD',
    ...WELL,
    sent: 2,
    asks: 'known',
    start: scripted({ on: { method: 'HEAD' }, status: 405, always: true }, ...serving(GOOD)),
  },
  ...[400, 401, 403, 404, 500].map(refusedHead),
  {
    name: 'takes 1.2 s for each of its answers',
    ...WELL,
    sent: 2,
    slow: true,
    start: unguarded(...[WHO, ...serving(GOOD)].map((step) => ({ ...step, afterMs: SLOW_MS }))),
  },
  {
    name: 'answers 429 with half a second more',
    ...PARKED,
    sent: 2,
    start: always(429, { 'retry-after': `${PAUSE_SECONDS}.5` }),
  },
  {
    name: 'answers 429 with a time in its body alone',
    ...PARKED,
    sent: 2,
    start: always(
      429,
      { 'content-type': 'application/json' },
      JSON.stringify({
        errors: [
          { code: 'TOOMANYREQUESTS', message: `retry-after: ${PAUSE_SECONDS}s, allowed: 1` },
        ],
      }),
    ),
  },
  {
    name: 'answers 429 with seconds',
    ...PARKED,
    sent: 2,
    start: always(429, { 'retry-after': String(PAUSE_SECONDS) }),
  },
  {
    name: 'answers 429 with a date',
    ...PARKED,
    sent: 2,
    start: (...how) => {
      const date = new Date(Date.now() + PAUSE_SECONDS * 1_000).toUTCString()
      return always(429, { 'retry-after': date })(...how)
    },
  },
  { name: 'answers 500', ...BROKEN, sent: 2, start: always(500) },
  {
    name: 'answers 502 with a page of HTML',
    ...BROKEN,
    sent: 2,
    start: always(502, { 'content-type': 'text/html' }, '<html>Bad Gateway</html>'),
  },
  { name: 'answers 503', ...BROKEN, sent: 2, start: always(503) },
  {
    name: 'redirects in a circle',
    ...DEAD,
    sent: 7,
    start: always(307, { location: '/v2/team/app/manifests/1' }),
  },
  {
    name: 'redirects to the metadata service of a cloud',
    ...DENYING,
    sent: 2,
    start: always(307, { location: 'http://169.254.169.254/latest/meta-data' }),
  },
  { name: 'redirects to another host', ...WELL, sent: 3, start: redirecting },
  {
    name: 'redirects to another host that gives everybody a token',
    ...WELL,
    sent: 5,
    start: redirectingToTokens,
  },
  {
    name: 'has a token service that redirects within its own address',
    ...WELL,
    sent: 4,
    start: movedTokenService,
  },
  {
    name: 'has other bytes than the digest names',
    ...LIAR,
    sent: 2,
    asks: 'digest',
    start: scripted(manifest(OTHER.bytes)),
  },
  {
    name: 'says a wrong Docker-Content-Digest of the right bytes',
    ...WELL,
    sent: 2,
    start: scripted(...serving(GOOD, { 'docker-content-digest': NOBODYS_DIGEST })),
  },
  {
    name: 'moves its tag to a digest that it does not have',
    ...LIAR,
    sent: 2,
    asks: 'known',
    start: scripted(
      {
        on: { method: 'HEAD' },
        status: 200,
        headers: {
          'content-type': OCI_MANIFEST,
          'content-length': '500',
          'docker-content-digest': NOBODYS_DIGEST,
        },
        always: true,
      },
      manifest(GOOD.bytes),
    ),
  },
  { name: 'sends half a body', ...DEAD, sent: 2, start: scripted(body('cut')) },
  {
    name: 'resets the connection within the body',
    ...DEAD,
    sent: 2,
    start: scripted(body('reset')),
  },
  {
    name: 'sends its body byte by byte',
    ...SILENT,
    sent: 2,
    start: scripted({ ...body('drip'), headers: { 'content-type': OCI_MANIFEST } }),
  },
  {
    name: 'sends a byte more than 4 MiB',
    ...NONSENSE,
    sent: 2,
    start: scripted(manifest(TOO_LARGE)),
  },
  {
    name: 'sends what is no JSON',
    ...NONSENSE,
    sent: 2,
    start: scripted(manifest('{"schemaVersion":2,')),
  },
  {
    name: 'has nothing for our platform',
    code: 'PLATFORM_UNKNOWN',
    outcome: 'not_found',
    sent: 2,
    start: scripted(...serving(FOREIGN)),
  },
  {
    name: 'has an artifact by that tag',
    code: 'NOT_AN_IMAGE',
    outcome: 'unsupported',
    sent: 2,
    start: scripted(served(ARTIFACT)),
  },
  {
    name: 'has a manifest whose config has no known type',
    code: 'NOT_AN_IMAGE',
    outcome: 'unsupported',
    sent: 2,
    start: scripted(served(UNTYPED)),
  },
  {
    name: 'has a schema 1 manifest',
    code: 'UNSUPPORTED',
    outcome: 'unsupported',
    sent: 2,
    start: scripted(served(SCHEMA1)),
  },
  {
    name: 'sends a manifest of OCI as one of Docker',
    ...WELL,
    sent: 2,
    start: scripted(...serving(GOOD, { 'content-type': DOCKER_MANIFEST })),
  },
  {
    name: 'has another image by that tag',
    ...WELL,
    digest: OTHER.digest,
    sent: 2,
    start: scripted(...serving(OTHER)),
  },
]
