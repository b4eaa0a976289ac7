import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { explainedFailure } from '../../../src/cri/explained-failure.ts'
import { readString, withString } from '../../../src/cri/wire.ts'
import { type Attempt, ResolveError } from '../../../src/errors.ts'
import { attemptsOf } from '../../../src/runtime/attempts-trailer.ts'
import type { RuntimeError } from '../../../src/runtime/call.ts'
import { binaryValue } from '../../../src/runtime/metadata.ts'

const IMAGE = 'docker.io/library/nginx:1.27'
const SAID: readonly Attempt[] = [
  { ...said('hub:5000', 'hub:5000: library/nginx:1.27 is not there (404)'), status: 404 },
  { registry: 'harbor.corp', step: 'manifest', outcome: 'unauthorized', ms: 2 },
]
const STATUS = 'grpc-status-details-bin'

function said(registry: string, message: string): Attempt {
  return { registry, step: 'manifest', outcome: 'not_found', ms: 1, message }
}

function failure(details: string, trailer?: Buffer): RuntimeError {
  const details64 = trailer === undefined ? [] : [STATUS, trailer.toString('base64')]
  const metadata = [...details64, 'x-other', 'stays']
  const code = status.UNAVAILABLE
  return Object.assign(new Error(details), { code, details, metadata })
}

const explained = (thrown: unknown, image = IMAGE, attempts = SAID) =>
  explainedFailure(thrown, image, attempts) as RuntimeError

test("the runtime's code and text come first, unchanged, then what registries said, then the command", () => {
  const error = explained(failure('RegistryUnavailable: dial tcp: no such host'))

  assert.equal(error.code, status.UNAVAILABLE)
  assert.equal(
    error.details,
    'RegistryUnavailable: dial tcp: no such host; image-resolver: ' +
      'hub:5000: library/nginx:1.27 is not there (404); harbor.corp: unauthorized; ' +
      `see: image-resolver resolve --explain ${IMAGE}`,
  )
  assert.deepEqual(error.metadata.slice(0, 2), ['x-other', 'stays'])
})

test('where no registry said anything the very same error comes back', () => {
  const error = failure('no such host')

  assert.equal(explained(error, IMAGE, []), error)
  assert.equal(explained(error, IMAGE, [said('m', 'the pull failed: no such host')]), error)
})

test('the status in the trailers has the same message and keeps its details', () => {
  const details = Buffer.from('1a020a00', 'hex')
  const trailer = Buffer.concat([
    Buffer.from('080e', 'hex'),
    Buffer.from(withString(new Uint8Array(), 2, 'no such host')),
    details,
  ])

  const error = explained(failure('no such host', trailer))

  const told = binaryValue(error.metadata, STATUS) ?? Buffer.alloc(0)
  assert.equal(readString(told, 2), error.details)
  assert.equal(told.subarray(0, 2).toString('hex'), '080e')
  assert.ok(told.includes(details))
})

test('a status in the trailers that cannot be read is left out', () => {
  const error = explained(failure('no such host', Buffer.from('ff', 'hex')))

  assert.equal(binaryValue(error.metadata, STATUS), undefined)
})

test('what is added is one line of 1 KiB at most, in which every registry has its share', () => {
  for (const count of [1, 2, 20, 400]) {
    for (const letter of ['x', 'é', '😀', ' \n\t']) {
      const attempts = Array.from({ length: count }, (_, index) =>
        said(`m${index}`, letter.repeat(5_000)),
      )

      const { details } = explained(failure('down'), IMAGE, attempts)

      const added = details.slice('down'.length)
      assert.ok(Buffer.byteLength(added) <= 1_024, `${count} ${letter}`)
      assert.doesNotMatch(added, /[\n\t\ufffd]/)
      assert.ok(added.endsWith(`see: image-resolver resolve --explain ${IMAGE}`))
      if (count <= 20)
        for (const { registry } of attempts) assert.ok(added.includes(`${registry}: `))
    }
  }
})

test('a name that is too long for the command leaves its place to the registries', () => {
  const { details } = explained(failure('down'), `docker.io/${'x'.repeat(5_000)}:1`)

  assert.doesNotMatch(details, /--explain/)
  assert.match(details, /harbor\.corp: unauthorized$/)
})

test('the secrets of signed addresses are left out', () => {
  const text = 'Get "https://bucket.example/blob?X-Amz-Signature=s3cret&b=c": 403'

  const { details, metadata } = explained(failure('down'), IMAGE, [said('m1', text)])

  assert.doesNotMatch(details, /s3cret/)
  assert.doesNotMatch(JSON.stringify(attemptsOf(metadata)), /s3cret/)
  assert.match(details, /bucket\.example\/blob/)
})

test('an error of ours, which tells of the registries, keeps its code and gets the command', () => {
  const attempts = [{ registry: 'm1', step: 'manifest', outcome: 'not_found', ms: 1 }] as const
  const error = explainedFailure(
    new ResolveError('MANIFEST_UNKNOWN', 'm1: not there', { attempts }),
    IMAGE,
    SAID,
  ) as ResolveError

  assert.equal(error.code, 'MANIFEST_UNKNOWN')
  assert.equal(error.message, `m1: not there; see: image-resolver resolve --explain ${IMAGE}`)
  assert.deepEqual(error.attempts, attempts)
})

test('what is neither is left as it is', () => {
  const error = new TypeError('x')

  assert.equal(explainedFailure(error, IMAGE, SAID), error)
})

test('a registry that answered has nothing to say, the others say their message or what became of them', () => {
  const step = 'manifest'
  const attempts: readonly Attempt[] = [
    { registry: 'a', step, outcome: 'ok', ms: 1 },
    { registry: 'b', step, outcome: 'timeout', ms: 1 },
    { registry: 'c', step, outcome: 'not_found', ms: 1, message: 'c: not there' },
  ]

  const { details, metadata } = explained(failure('down'), IMAGE, attempts)

  assert.match(details, /^down; image-resolver: b: timeout; c: not there; see: /)
  assert.deepEqual(attemptsOf(metadata), attempts)
})
