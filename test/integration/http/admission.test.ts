import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import type { AnswerOptions, Answers } from '../../../src/http/types.ts'
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
    [reviewOf({ metadata: { annotations: { 'kubernetes.io/config.mirror': 'a' } } }), /static pod/],
    [reviewOf({}, { operation: 'UPDATE' }), undefined],
    [reviewOf({}, { operation: 'DELETE', object: null }), undefined],
    [reviewOf({}, { subResource: 'ephemeralcontainers', operation: 'UPDATE' }), undefined],
    [reviewOf({}, { kind: deployment }), undefined],
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
    'image-resolver: not pinned: fluent-bit: MANIFEST_UNKNOWN: fluent-bit is nowhere',
  ])
  assert.match(open.json().response.auditAnnotations.failed, /^fluent-bit: MANIFEST_UNKNOWN/)
  const { allowed, patch, status } = closed.json().response
  assert.deepEqual([allowed, patch, status.code], [false, undefined, 503])
  assert.match(status.message, /fluent-bit is nowhere$/)
})

test('registries that do not answer within the budget do not keep the pod', async (t) => {
  const answers = endlessAnswers()

  const response = await send(t, reviewOf(), {
    answers,
    admission: { budgetMs: 20, rejects: false },
  })

  const { allowed, patch, warnings } = response.json().response
  assert.deepEqual([allowed, patch, warnings.length], [true, undefined, 3])
  assert.match(warnings[0], /DEADLINE_EXCEEDED/)
})

test('what only the node knows is not pinned: no registry has confirmed it', async (t) => {
  const answers: Answers = { answer: async (requested) => anAnswer({ requested, source: 'node' }) }

  const { allowed, patch } = (await send(t, reviewOf(), { answers })).json().response

  assert.deepEqual([allowed, patch], [true, undefined])
})

/** A review of which the headers are sent, and nothing of its 3 MiB; its place is taken when this returns. */
async function begin(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  const first = 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n'
  socket.write(`${first}${headOf(3 * 1024 * 1024)}`)
  // The review is begun as the request before it is over.
  await once(socket, 'data')
  for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate)
  return socket
}

function headOf(length: number): string {
  const headers = `content-type: application/json\r\ncontent-length: ${length}`
  return `POST ${url} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n\r\n`
}

test('a review beyond 16 is refused before its body is sent, and its connection ends', {
  timeout: 60_000,
}, async (t) => {
  const app = await openApp(t, { answers: KNOWS_ALL })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const port = Number(new URL(address).port)
  const post = () =>
    fetch(`${address}${url}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(reviewOf()),
    })
  const held: Socket[] = []
  for (let count = 0; count < 16; count += 1) held.push(await begin(t, port))

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
  let served = await post()
  while (served.status === 429) served = await post()
  assert.equal(served.status, 200)
  await served.text()
  await begin(t, port)
  assert.equal((await post()).status, 429)
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
  const post = () => ask(app, { method: 'POST', url, payload })
  const first = Array.from({ length: 16 }, post)
  while (waiting.length < 16) await new Promise(setImmediate)

  const more = await post()
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
  const large = await send(t, JSON.stringify({ filler: 'x'.repeat(3 * 1024 * 1024) }))
  assert.equal(large.statusCode, 413)
})

test('without admission.enabled there is no such route', async (t) => {
  const app = await openApp(t, { admission: undefined } as object)
  const response = await app.inject({ method: 'POST', url, payload: reviewOf() })
  assert.equal(response.statusCode, 404)
})
