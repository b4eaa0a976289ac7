import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  authorize,
  requestedAuth,
  requestedImage,
  withAuth,
  withImage,
  withoutAuth,
} from '../../../src/cri/image-messages.ts'
import { readMessage, readString, withBytes, withString } from '../../../src/cri/wire.ts'
import { candidate } from '../../support/resolver.ts'

/** A PullImageRequest with fields that this program does not know, in every place. */
function pullRequest(image: string): Uint8Array {
  let spec = withString(new Uint8Array(), 1, image)
  spec = withString(spec, 18, 'as the user wrote it')
  spec = withString(spec, 99, 'from the future')
  let request = withBytes(new Uint8Array(), 1, spec)
  request = withAuth(request, { username: 'pod', password: 'secret' })
  request = withString(request, 3, 'the sandbox')
  return withString(request, 98, 'also from the future')
}

test('another image is asked for and nothing else changes', () => {
  const request = withImage(pullRequest('nginx'), 'hub:5000/library/nginx@sha256:aa')

  assert.equal(requestedImage(request), 'hub:5000/library/nginx@sha256:aa')
  const spec = readMessage(request, 1) ?? new Uint8Array()
  assert.equal(readString(spec, 18), 'as the user wrote it')
  assert.equal(readString(spec, 99), 'from the future')
  assert.equal(readString(request, 3), 'the sandbox')
  assert.equal(readString(request, 98), 'also from the future')
  assert.equal(requestedAuth(request)?.username, 'pod')
})

test('a request without an image or without credentials says so', () => {
  assert.equal(requestedImage(new Uint8Array()), '')
  assert.equal(requestedAuth(new Uint8Array()), undefined)
  assert.equal(requestedAuth(withoutAuth(pullRequest('nginx'))), undefined)
  assert.equal(requestedAuth(withAuth(pullRequest('nginx'), {})), undefined)
  assert.equal(requestedAuth(withAuth(pullRequest('nginx'), { serverAddress: 'x' })), undefined)
})

const POD = {
  username: 'pod',
  password: 'secret',
  auth: '',
  serverAddress: '',
  identityToken: '',
  registryToken: '',
}

test("a mirror gets its own credentials, bound to it by a URL, never the pod's", () => {
  const credentials = { kind: 'basic', username: 'mirror', password: 'own' } as const
  const endpoint = { scheme: 'http', host: 'hub:5000', prefix: '' } as const

  const request = authorize(
    pullRequest('nginx'),
    candidate('hub:5000', { endpoint }),
    POD,
    credentials,
  )

  assert.deepEqual(requestedAuth(request), {
    ...POD,
    username: 'mirror',
    password: 'own',
    serverAddress: 'http://hub:5000',
  })
})

test('a mirror without credentials gets none', () => {
  const request = authorize(pullRequest('nginx'), candidate('hub:5000'), POD, undefined)

  assert.equal(requestedAuth(request), undefined)
})

test("the origin gets the pod's credentials byte for byte", () => {
  const request = pullRequest('nginx')
  const origin = candidate('docker.io', { origin: true })

  const authorized = authorize(request, origin, POD, { kind: 'registryToken', token: 'other' })

  assert.equal(authorized, request)
})

test('an origin that is configured gets its own when the pod has none', () => {
  const credentials = { kind: 'identityToken', token: 't' } as const

  const request = authorize(
    withoutAuth(pullRequest('nginx')),
    candidate('quay.io', { origin: true }),
    undefined,
    credentials,
  )

  assert.equal(requestedAuth(request)?.identityToken, 't')
  assert.equal(requestedAuth(request)?.serverAddress, 'https://quay.io')
})
