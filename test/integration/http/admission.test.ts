import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Attempt, ResolveError } from '../../../src/errors.ts'
import type { Answers } from '../../../src/http/types.ts'
import type { AnswerOptions } from '../../../src/resolver/answers.ts'
import { type Logger, silentLogger } from '../../../src/telemetry/log.ts'
import { anAnswer, endlessAnswers, INDEX_DIGEST, openApp } from '../../support/http-app.ts'
import { ask } from '../../support/openapi.ts'

const url = '/admission/pin'

/** A pod of a Deployment, in the form that Kubernetes documents for AdmissionReview v1. */
function reviewOf(pod: object = {}, request: object = {}) {
  const { metadata = {}, spec = {} } = pod as { metadata?: object; spec?: object }
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      requestKind: { group: '', version: 'v1', kind: 'Pod' },
      requestResource: { group: '', version: 'v1', resource: 'pods' },
      name: 'web-5d78c9869d-mzcsh',
      namespace: 'shop',
      operation: 'CREATE',
      userInfo: {
        username: 'system:serviceaccount:kube-system:replicaset-controller',
        uid: '0a2a2f4c-2f2f-4c4c-9a51-8a7a3b3b2c11',
        groups: ['system:serviceaccounts', 'system:authenticated'],
      },
      object: {
        kind: 'Pod',
        apiVersion: 'v1',
        metadata: {
          generateName: 'web-5d78c9869d-',
          namespace: 'shop',
          labels: { app: 'web', 'pod-template-hash': '5d78c9869d' },
          creationTimestamp: null,
          managedFields: [{ manager: 'kube-controller-manager', operation: 'Update' }],
          ...metadata,
        },
        spec: {
          volumes: [
            { name: 'kube-api-access-l4x7t', projected: { sources: [], defaultMode: 420 } },
            { name: 'model', image: { reference: 'models/llm:3', pullPolicy: 'IfNotPresent' } },
          ],
          initContainers: [{ name: 'migrate', image: 'shop/web:1', resources: {} }],
          containers: [
            {
              name: 'web',
              image: 'shop/web:1',
              env: [{ name: 'image', value: 'shop/web:1' }],
              imagePullPolicy: 'IfNotPresent',
            },
            { name: 'proxy', image: `envoy:1@${INDEX_DIGEST}`, resources: {} },
            { name: 'log', image: 'fluent-bit', resources: {} },
          ],
          restartPolicy: 'Always',
          serviceAccountName: 'default',
          tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists' }],
          ...spec,
        },
        status: {},
      },
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' },
      ...request,
    },
  }
}

interface Sent {
  readonly answers?: Answers
  readonly admission?: { readonly budgetMs: number; readonly rejects: boolean }
  readonly logger?: Logger
}

async function send(t: TestContext, body: unknown, { answers = KNOWS_ALL, ...options }: Sent = {}) {
  const app = await openApp(t, { answers, ...options })
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  const headers = { 'content-type': 'application/json' }
  const response = await ask(app, { method: 'POST', url: `${url}?timeout=10s`, headers, payload })
  return response
}

const KNOWS_ALL: Answers = { answer: async (requested) => anAnswer({ requested }) }

function patchOf(response: { json(): { response: { patch: string } } }): unknown {
  return JSON.parse(Buffer.from(response.json().response.patch, 'base64').toString())
}

test('a pod gets the digest behind each tag that it names, and nothing else of it changes', async (t) => {
  const asked: AnswerOptions[] = []
  const answer: Answers['answer'] = async (requested, options) => {
    asked.push(options)
    return anAnswer({ requested })
  }

  const response = await send(t, reviewOf(), { answers: { answer } })

  assert.equal(response.statusCode, 200, response.body)
  const { apiVersion, kind, response: said } = response.json()
  assert.deepEqual([apiVersion, kind], ['admission.k8s.io/v1', 'AdmissionReview'])
  assert.deepEqual(
    [said.uid, said.allowed, said.patchType],
    ['705ab4f5-6393-11e8-b7cc-42010a800002', true, 'JSONPatch'],
  )
  assert.deepEqual(patchOf(response), [
    { op: 'replace', path: '/spec/initContainers/0/image', value: `shop/web:1@${INDEX_DIGEST}` },
    { op: 'replace', path: '/spec/containers/0/image', value: `shop/web:1@${INDEX_DIGEST}` },
    { op: 'replace', path: '/spec/containers/2/image', value: `fluent-bit:latest@${INDEX_DIGEST}` },
    {
      op: 'replace',
      path: '/spec/volumes/1/image/reference',
      value: `models/llm:3@${INDEX_DIGEST}`,
    },
  ])
  assert.equal(said.warnings, undefined)
  assert.match(said.auditAnnotations.pinned, /^shop\/web:1@sha256:\S+ fluent-bit:latest@\S+ models/)
  // Each image once, and without the credentials that are for those who show the token.
  assert.deepEqual(
    asked.map(({ unauthenticated }) => unauthenticated),
    [true, true, true],
  )
})

const REJECTS = { budgetMs: 60_000, rejects: true }
/** What the API server says of a kubelet. */
const KUBELET = { username: 'system:node:worker-1', groups: ['system:nodes'] }
const MIRROR_POD = { metadata: { annotations: { 'kubernetes.io/config.mirror': 'a' } } }

test('a pod with more than 100 images is told of, or rejected: the rest is not pinned', async (t) => {
  const podOf = (count: number) => {
    const containers = Array.from({ length: count }, (_, index) => ({ image: `app-${index}` }))
    return reviewOf({ spec: { initContainers: [], volumes: [], containers } })
  }

  const whole = (await send(t, podOf(100), { admission: REJECTS })).json().response
  const open = await send(t, podOf(101))
  const closed = (await send(t, podOf(101), { admission: REJECTS })).json().response

  assert.deepEqual([whole.allowed, whole.warnings], [true, undefined])
  assert.equal((patchOf(open) as object[]).length, 100)
  const { allowed, warnings, auditAnnotations } = open.json().response
  assert.equal(allowed, true)
  assert.deepEqual(warnings, ['image-resolver: not pinned: more than 100 images'])
  assert.equal(auditAnnotations.failed, 'more than 100 images')
  assert.deepEqual([closed.allowed, closed.patch], [false, undefined])
  assert.equal(closed.status.message, 'image-resolver: not pinned: more than 100 images')
})

test('more than 100 images are told of before the images that are not known', async (t) => {
  const containers = Array.from({ length: 101 }, (_, index) => ({ image: `app-${index}` }))
  const answers: Answers = {
    answer: async (requested) => {
      throw new ResolveError('MANIFEST_UNKNOWN', `${requested} is nowhere`)
    },
  }

  const response = await send(t, reviewOf({ spec: { containers } }), { answers })

  const { warnings } = response.json().response
  assert.equal(warnings.length, 10)
  assert.equal(warnings[0], 'image-resolver: not pinned: more than 100 images')
})

test('the annotation of a static pod counts only where a kubelet creates it', async (t) => {
  for (const userInfo of [
    undefined,
    {},
    { username: 'eve' },
    { username: 'a system:node:worker-1' },
    { username: ['system:node:worker-1'] },
  ]) {
    const response = await send(t, reviewOf(MIRROR_POD, { userInfo }))
    assert.equal((patchOf(response) as object[]).length, 4, JSON.stringify(userInfo))
  }
})

test('a dry run is answered as any other', async (t) => {
  const [dry, real] = [
    await send(t, reviewOf({}, { dryRun: true })),
    await send(t, reviewOf({}, { dryRun: false })),
  ]
  assert.equal(dry.body, real.body)
})

test('what is not to be pinned is admitted as it is, and nothing is asked', async (t) => {
  const answers = { answer: async () => assert.fail('was asked') }
  const deployment = { group: 'apps', version: 'v1', kind: 'Deployment' }
  const rows: readonly (readonly [object, RegExp | undefined])[] = [
    [reviewOf({ metadata: { annotations: { 'image-resolver/pin': 'disabled' } } }), /is disabled/],
    [reviewOf(MIRROR_POD, { userInfo: KUBELET }), /static pod/],
    [reviewOf({}, { operation: 'UPDATE' }), undefined],
    [reviewOf({}, { operation: 'DELETE', object: null }), undefined],
    [reviewOf({}, { subResource: 'ephemeralcontainers', operation: 'UPDATE' }), undefined],
    [reviewOf({}, { kind: deployment }), undefined],
    [reviewOf({}, { kind: { group: 'example.com', version: 'v1', kind: 'Pod' } }), undefined],
    [reviewOf({}, { kind: { version: 'v1', kind: 'Pod' } }), undefined],
    [
      reviewOf({ spec: { containers: 'none', initContainers: [null, 1], volumes: null } }),
      undefined,
    ],
  ]
  for (const [body, why] of rows) {
    const response = await send(t, body, { answers })
    const { allowed, auditAnnotations, patch } = response.json().response
    assert.deepEqual([allowed, patch], [true, undefined])
    if (why === undefined) assert.equal(auditAnnotations, undefined)
    else assert.match(auditAnnotations.skipped, why)
  }
})

test('an image that is not known leaves the others pinned, with a warning, or rejects the pod', async (t) => {
  const answers: Answers = {
    answer: async (requested) => {
      if (requested !== 'fluent-bit') return anAnswer({ requested })
      throw new ResolveError('MANIFEST_UNKNOWN', 'fluent-bit is nowhere')
    },
  }

  const open = await send(t, reviewOf(), { answers })
  const closed = await send(t, reviewOf(), {
    answers,
    admission: { budgetMs: 60_000, rejects: true },
  })

  assert.equal((patchOf(open) as object[]).length, 3)
  assert.deepEqual(open.json().response.warnings, [
    'image-resolver: not pinned: fluent-bit: no registry has it',
  ])
  assert.equal(open.json().response.auditAnnotations.failed, 'fluent-bit: no registry has it')
  const { allowed, patch, status } = closed.json().response
  assert.deepEqual([allowed, patch, status.code], [false, undefined, 503])
  assert.match(status.message, /fluent-bit: no registry has it$/)
})

test('registries that do not answer within the budget do not keep the pod', async (t) => {
  const answers = endlessAnswers()

  const response = await send(t, reviewOf(), {
    answers,
    admission: { budgetMs: 20, rejects: false },
  })

  const { allowed, patch, warnings } = response.json().response
  assert.deepEqual([allowed, patch, warnings.length], [true, undefined, 3])
  assert.match(
    warnings[0],
    /shop\/web:1: its digest could not be found out: the log of the service/,
  )
})

test('what only the node knows is not pinned: no registry has confirmed it', async (t) => {
  const answers: Answers = { answer: async (requested) => anAnswer({ requested, source: 'node' }) }

  const { allowed, patch } = (await send(t, reviewOf(), { answers })).json().response

  assert.deepEqual([allowed, patch], [true, undefined])
})

/** One image that is not known, and what the log has of it. */
async function failedBy(t: TestContext, error: Error, rejects: boolean) {
  const logged: unknown[] = []
  const logger: Logger = { ...silentLogger(), warn: (...line: unknown[]) => logged.push(line) }
  const answers: Answers = {
    answer: async () => {
      throw error
    },
  }
  const spec = { initContainers: [], volumes: [], containers: [{ image: 'db.corp/a:1' }] }
  const admission = { budgetMs: 60_000, rejects }
  const response = await send(t, reviewOf({ spec }), { answers, admission, logger })
  return { logged, said: response.json().response }
}

test('of every failure the caller gets one text, so that it tells nothing of a host', async (t) => {
  const attempt = { registry: 'db.corp', ms: 1 } as const
  const attempts: readonly Attempt[] = [{ ...attempt, step: 'connect', outcome: 'timeout' }]
  const refused: readonly Attempt[] = [{ ...attempt, step: 'manifest', outcome: 'denied' }]
  const skipped: readonly Attempt[] = [{ ...attempt, step: 'connect', outcome: 'skipped' }]
  const rows: readonly Error[] = [
    new ResolveError('DENIED', 'db.corp leads to a private or local address'),
    new ResolveError('UNAVAILABLE', 'db.corp: no such host: getaddrinfo ENOTFOUND db.corp'),
    // The texts of all registries that were asked stand behind the most telling code.
    new ResolveError('DEADLINE_EXCEEDED', 'db.corp: connect ETIMEDOUT 10.0.0.5:443', { attempts }),
    new ResolveError('TOOMANYREQUESTS', 'db.corp redirects to 10.0.0.5', { attempts: refused }),
    new ResolveError('TOOMANYREQUESTS', 'db.corp: connect 10.0.0.5', { attempts: skipped }),
    new ResolveError('MANIFEST_UNKNOWN', 'db.corp: connect 10.0.0.5', { attempts: skipped }),
    new ResolveError('MANIFEST_INVALID', 'db.corp answers with a page'),
    new ResolveError('UNAUTHORIZED', 'db.corp wants credentials'),
    new Error('connect 10.0.0.5'),
  ]
  for (const error of rows) {
    const code = error instanceof ResolveError ? error.code : 'UNKNOWN'
    const told =
      'db.corp/a:1: its digest could not be found out: the log of the service may say why'
    const open = await failedBy(t, error, false)
    assert.equal(open.said.auditAnnotations.failed, told)
    assert.deepEqual(open.said.warnings, [`image-resolver: not pinned: ${told}`])
    assert.deepEqual(open.logged, [
      [{ failed: `db.corp/a:1: ${code}: ${error.message}` }, 'images of a pod were not pinned'],
    ])
    const closed = await failedBy(t, error, true)
    assert.equal(closed.said.status.message, `image-resolver: not pinned: ${told}`)
    assert.deepEqual(closed.logged, open.logged)
  }
})

test('a caller is told that no registry has an image, and what is wrong with a reference', async (t) => {
  const attempt = { registry: 'hub', ms: 1, step: 'manifest', outcome: 'not_found' } as const
  for (const code of ['MANIFEST_UNKNOWN', 'PLATFORM_UNKNOWN'] as const) {
    const error = new ResolveError(code, 'hub.corp at 10.0.0.5 has none', { attempts: [attempt] })
    const { logged, said } = await failedBy(t, error, false)
    assert.equal(said.auditAnnotations.failed, 'db.corp/a:1: no registry has it')
    assert.deepEqual(logged, [
      [{ failed: `db.corp/a:1: ${code}: ${error.message}` }, 'images of a pod were not pinned'],
    ])
  }
  const spec = { initContainers: [], volumes: [], containers: [{ image: 'UPPER' }] }
  const { auditAnnotations } = (await send(t, reviewOf({ spec }))).json().response
  assert.match(auditAnnotations.failed, /^UPPER: NAME_INVALID: /)
})

test('the log has a line of at most 2,000 characters a second, whoever asks', async (t) => {
  const lines: { failed: string }[] = []
  const logger = {
    ...silentLogger(),
    warn: (fields: { failed: string }) => lines.push(fields),
  } as unknown as Logger
  const answers: Answers = {
    answer: async () => {
      throw new ResolveError('UNAVAILABLE', 'x'.repeat(1_000))
    },
  }
  let now = 0
  const app = await openApp(t, { answers, logger, now: () => now })
  for (const [time, count] of [
    [0, 1],
    [999, 1],
    [1_000, 2],
  ] as const) {
    now = time
    await app.inject({ method: 'POST', url, payload: reviewOf() })
    assert.equal(lines.length, count)
  }
  assert.equal(lines[0]?.failed.length, 2_000)
})

test('the audit log gets at most 2,000 characters of a text', async (t) => {
  const image = (index: number) => ({ image: `${'a'.repeat(100)}-${index}` })
  const containers = Array.from({ length: 40 }, (_, index) => image(index))
  const answers: Answers = {
    answer: async (requested) => {
      if (/[13579]$/.test(requested)) throw new ResolveError('UNAVAILABLE', 'x'.repeat(1_000))
      return anAnswer({ requested })
    },
  }

  const response = await send(t, reviewOf({ spec: { containers } }), { answers })

  const { failed, pinned } = response.json().response.auditAnnotations
  assert.deepEqual([failed.length, pinned.length], [2_000, 2_000])
})

/** A review of which the headers are sent, and nothing of its 3 MiB; its place is taken when this returns. */
async function begin(t: TestContext, port: number, localAddress?: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', ...(localAddress && { localAddress }) })
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  const first = 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n'
  socket.write(`${first}${headOf(3 * 1024 * 1024)}`)
  // The review is begun as the request before it is over.
  await once(socket, 'data')
  for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate)
  return socket
}

/** Addresses from which all 16 places can be taken, each as often as it gets one. */
const CLIENTS = [8, 4, 2, 1, 1].flatMap((places, index) =>
  Array.from({ length: places }, () => `127.0.0.${index + 2}`),
)

function post(address: string): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${address}${url}`, { method: 'POST', headers, body: JSON.stringify(reviewOf()) })
}

function headOf(length: number): string {
  const headers = `content-type: application/json\r\ncontent-length: ${length}`
  return `POST ${url} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n\r\n`
}

test('a client that holds all that it may leaves as much to the others', {
  timeout: 60_000,
}, async (t) => {
  const app = await openApp(t, { answers: KNOWS_ALL })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const port = Number(new URL(address).port)
  for (let count = 0; count < 8; count += 1) await begin(t, port, '127.0.0.2')

  const [more, other] = await Promise.all(
    ['127.0.0.2', '127.0.0.1'].map((remoteAddress) =>
      ask(app, { method: 'POST', url, payload: reviewOf(), remoteAddress }),
    ),
  )

  assert.equal(more?.statusCode, 429)
  assert.match(more?.body ?? '', /8 of this client's pods are being reviewed/)
  assert.equal(other?.statusCode, 200)
})

test('two clients that hold all that they may leave a place to a third', {
  timeout: 60_000,
}, async (t) => {
  const app = await openApp(t, { answers: KNOWS_ALL })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const port = Number(new URL(address).port)
  for (const client of ['127.0.0.2', '127.0.0.3']) {
    for (let count = 0; count < 16; count += 1) await begin(t, port, client)
  }

  const third = await post(address)

  assert.equal(third.status, 200)
  assert.match(await third.text(), /"patchType":"JSONPatch"/)
})

test('reviews are not answered on the connections that are kept for health', {
  timeout: 60_000,
}, async (t) => {
  const app = await openApp(t, {
    answers: endlessAnswers(),
    limits: { maxConnectionsPerClient: 1, reservedConnections: 2 },
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const port = Number(new URL(address).port)
  await begin(t, port)
  const answerTo = async (request: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1')
    t.after(() => socket.destroy())
    let heard = ''
    socket.on('data', (chunk) => (heard += chunk))
    socket.write(request)
    await once(socket, 'close')
    return heard
  }

  assert.match(await answerTo(`${headOf(2)}{}`), /^HTTP\/1\.1 429 /)
  assert.match(await answerTo('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n'), /^HTTP\/1\.1 200 /)
})

test('a review beyond 16 is refused before its body is sent, and its connection ends', {
  timeout: 60_000,
}, async (t) => {
  const app = await openApp(t, { answers: KNOWS_ALL })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const port = Number(new URL(address).port)
  const held: Socket[] = []
  for (const client of CLIENTS) held.push(await begin(t, port, client))

  const one = connect(port, '127.0.0.1')
  t.after(() => one.destroy())
  let heard = ''
  one.on('data', (chunk) => (heard += chunk))
  one.write(headOf(3 * 1024 * 1024))
  await once(one, 'close')

  assert.match(heard, /^HTTP\/1\.1 429 /)
  assert.match(heard, /\r\nretry-after: 1\r\n/i)
  assert.match(heard, /\r\nconnection: close\r\n/i)
  assert.match(heard, /"TOOMANYREQUESTS"/)
  assert.ok(held.every((socket) => !socket.destroyed))

  // A place is free again as soon as a connection is gone, and it is one place.
  held[0]?.destroy()
  let served = await post(address)
  while (served.status === 429) served = await post(address)
  assert.equal(served.status, 200)
  await served.text()
  await begin(t, port)
  assert.equal((await post(address)).status, 429)
})

test('a review that is answered or refused makes room for the next one', async (t) => {
  const app = await openApp(t, { answers: KNOWS_ALL })
  const headers = { 'content-type': 'application/json' }
  for (let count = 0; count < 20; count += 1) {
    const refused = await app.inject({ method: 'POST', url, headers, payload: '{' })
    assert.equal(refused.statusCode, 400)
    const answered = await app.inject({ method: 'POST', url, payload: reviewOf() })
    assert.equal(answered.statusCode, 200)
  }
})

test('more pods than are reviewed at once are refused, and those before them are pinned', async (t) => {
  const waiting: (() => void)[] = []
  const answers: Answers = {
    answer: async (requested) => {
      await new Promise<void>((resolve) => waiting.push(resolve))
      return anAnswer({ requested })
    },
  }
  const app = await openApp(t, { answers })
  const payload = reviewOf({
    spec: { initContainers: [], volumes: [], containers: [{ image: 'a' }] },
  })
  const review = (remoteAddress: string) =>
    ask(app, { method: 'POST', url, payload, remoteAddress })
  const first = CLIENTS.map(review)
  while (waiting.length < 16) await new Promise(setImmediate)

  const more = await review('127.0.0.1')
  for (const end of waiting) end()
  const patched = await Promise.all(first)

  assert.equal(more.statusCode, 429)
  assert.equal(more.headers['retry-after'], '1')
  assert.ok(patched.every((response) => response.json().response.patch !== undefined))
})

test('registries are asked no more for an API server that has gone', {
  timeout: 60_000,
}, async (t) => {
  const left = new AbortController()
  let onAsked: (signal: AbortSignal) => void = () => {}
  const asked = new Promise<AbortSignal>((resolve) => (onAsked = resolve))
  const app = await openApp(t, { answers: endlessAnswers((signal) => onAsked(signal)) })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify(reviewOf())
  fetch(`${address}${url}`, { method: 'POST', headers, body, signal: left.signal }).catch(() => {})

  const signal = await asked
  const ended = once(signal, 'abort')
  left.abort()
  await ended

  assert.equal(signal.reason.code, 'CANCELED')
})

test('a body that does not come is waited for no longer than any other', {
  timeout: 60_000,
}, async (t) => {
  const limits = { headersTimeoutMs: 40, requestTimeoutMs: 80 }
  const app = await openApp(t, { answers: KNOWS_ALL, limits })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect(Number(new URL(address).port), '127.0.0.1')
  t.after(() => socket.destroy())
  let heard = ''
  socket.on('data', (chunk) => (heard += chunk))
  socket.write(`${headOf(3 * 1024 * 1024)}{`)

  await once(socket, 'close')

  assert.match(heard, /^HTTP\/1\.1 408 /)
})

test('what is no AdmissionReview of v1 is refused, and so is one that is too large', async (t) => {
  const old = { ...reviewOf(), apiVersion: 'admission.k8s.io/v1beta1' }
  for (const body of ['{', '[]', 'null', old, { ...reviewOf(), request: {} }]) {
    const response = await send(t, body)
    assert.equal(response.statusCode, 400, response.body)
    assert.match(response.json().errors[0].message, /^the body is no AdmissionReview: /)
  }
  const long = await send(t, reviewOf({}, { uid: 'u'.repeat(257) }))
  assert.equal(long.statusCode, 400)
  const [error] = long.json().errors
  assert.equal(error.code, 'REQUEST_INVALID')
  assert.match(error.message, /request\.uid is longer than 256 characters$/)
  assert.equal((await send(t, reviewOf({}, { uid: 'u'.repeat(256) }))).statusCode, 200)
  const large = await send(t, JSON.stringify({ filler: 'x'.repeat(3 * 1024 * 1024) }))
  assert.equal(large.statusCode, 413)
})

test('without admission.enabled there is no such route', async (t) => {
  const app = await openApp(t, { admission: undefined } as object)
  const response = await app.inject({ method: 'POST', url, payload: reviewOf() })
  assert.equal(response.statusCode, 404)
})
