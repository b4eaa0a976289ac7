import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { FakeRegistry, refuseWith } from '../../support/fake-registry.ts'
import { buildImage, buildIndex } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import { startTokenServer, type TokenServerOptions } from '../../support/token-server.ts'

const IMAGE = buildImage()
const USER = { kind: 'basic', username: 'user', password: 'pa:ss' } as const
const USER_HEADER = `Basic ${Buffer.from('user:pa:ss').toString('base64')}`
const IDENTITY = { kind: 'identityToken', token: 'identity' } as const

async function startBasic(t: TestContext) {
  const registry = await FakeRegistry.start(t, { auth: USER })
  registry.put('library/app', '1', IMAGE)
  return { registry, images: startImages(t), request: ask(registry, 'library/app', '1') }
}

async function startBearer(t: TestContext, options: TokenServerOptions = {}) {
  const tokens = await startTokenServer(t, options)
  const auth = { kind: 'bearer' as const, ...tokens }
  const registry = await FakeRegistry.start(t, { auth })
  registry.put('library/app', '1', IMAGE)
  const clock = { ms: 0 }
  const images = startImages(t, { now: () => clock.ms })
  return { tokens, registry, images, clock, request: ask(registry, 'library/app', '1') }
}

test('an anonymous question carries no credentials', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)

  await startImages(t).image(ask(registry, 'library/app', '1', { credentials: USER }), AMD64)

  assert.equal(registry.requests[0]?.headers.authorization, undefined)
})

test('Basic is learnt from the first 401 and sent at once after that', async (t) => {
  const { registry, images, request } = await startBasic(t)

  await images.image({ ...request, credentials: USER }, AMD64)
  await images.image({ ...request, credentials: USER }, AMD64)

  assert.deepEqual(
    registry.requests.map(({ headers }) => headers.authorization),
    [undefined, USER_HEADER, USER_HEADER],
  )
})

test('a registry that wants Basic is not asked twice without credentials', async (t) => {
  const { registry, images, request } = await startBasic(t)

  await assert.rejects(images.image(request, AMD64), {
    code: 'UNAUTHORIZED',
    status: 401,
    message: /needs credentials that are accepted there \(401: authentication required\)/,
  })
  assert.equal(registry.requests.length, 1)
})

test('wrong Basic credentials are UNAUTHORIZED, and nowhere in the message', async (t) => {
  const { registry, images, request } = await startBasic(t)
  const credentials = { ...USER, password: 'hunter2' }

  await assert.rejects(
    images.image({ ...request, credentials }, AMD64),
    (error) =>
      error instanceof Error &&
      'code' in error &&
      error.code === 'UNAUTHORIZED' &&
      !/hunter2|aHVudGVyMg|Basic/.test(error.message),
  )
  assert.equal(registry.requests.length, 2)
})

test('a token of an earlier attempt proves nothing, and one serves all requests of an attempt', async (t) => {
  const { tokens, registry, images, request } = await startBearer(t)
  registry.put('library/app', '2', buildIndex([IMAGE]))
  const asked = { ...request, reference: '2', credentials: USER }
  await images.image(asked, AMD64)
  await images.digest(asked)
  assert.equal(tokens.questions.length, 1)

  await images.image({ ...asked, proof: {} }, AMD64)
  assert.equal(tokens.questions.length, 2)
  await images.digest({ ...asked, proof: {} })
  assert.equal(tokens.questions.length, 3)
  await images.digest(asked)

  assert.equal(tokens.questions.length, 3)
})

test('an anonymous token is fetched for the repository that is asked for', async (t) => {
  const { tokens, images, request } = await startBearer(t)

  const { imageId } = await images.image(request, AMD64)

  assert.equal(imageId, IMAGE.imageId)
  assert.deepEqual(tokens.questions, [
    {
      method: 'GET',
      // Not the placeholder of the challenge.
      params: { service: 'fake', scope: 'repository:library/app:pull' },
      authorization: undefined,
    },
  ])
})

test('with the token known a cold question is one request, two with an index', async (t) => {
  const { tokens, registry, images, request } = await startBearer(t)
  registry.put('library/app', 'index', buildIndex([IMAGE]))
  await images.image(request, AMD64)
  registry.requests.length = 0

  await images.image(request, AMD64)
  await images.image({ ...request, reference: 'index' }, AMD64)
  await images.digest(request)

  assert.equal(registry.requests.length, 1 + 2 + 1)
  assert.equal(tokens.questions.length, 1)
})

test('user and password go to the token service, the token alone to the registry', async (t) => {
  const { tokens, registry, images, request } = await startBearer(t)

  await images.image({ ...request, credentials: USER }, AMD64)

  assert.equal(tokens.questions[0]?.authorization, USER_HEADER)
  assert.deepEqual(
    registry.requests.map(({ headers }) => headers.authorization),
    [undefined, 'Bearer token-1'],
  )
})

test('each repository and each asker has a token of its own', async (t) => {
  const { tokens, registry, images, request } = await startBearer(t)
  registry.put('library/other', '1', IMAGE)

  await images.image(request, AMD64)
  await images.image({ ...request, repository: 'library/other' }, AMD64)
  await images.image({ ...request, credentials: USER }, AMD64)
  await images.image({ ...request, credentials: { ...USER, password: 'other' } }, AMD64)

  assert.equal(tokens.questions.length, 4)
})

test('callers that need the same token at once share one exchange', async (t) => {
  const { tokens, images, request } = await startBearer(t)

  const callers = Array.from({ length: 50 }, () => {
    const { signal } = new AbortController()
    return images.image({ ...request, signal }, AMD64)
  })
  await Promise.all(callers)

  assert.equal(tokens.questions.length, 1)
})

test('a caller that leaves does not take the token from the others', async (t) => {
  let open = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const { images, request } = await startBearer(t, { gate })
  const leaver = new AbortController()
  const left = images.image({ ...request, signal: leaver.signal }, AMD64)
  const stayed = images.image(request, AMD64)

  leaver.abort()

  await assert.rejects(left, { code: 'CANCELED' })
  open()
  assert.equal((await stayed).imageId, IMAGE.imageId)
})

test('a token lives for nine tenths of what its service says', async (t) => {
  const { tokens, images, clock, request } = await startBearer(t, { expiresIn: 300 })
  await images.image(request, AMD64)

  clock.ms = 269_999
  await images.image(request, AMD64)
  assert.equal(tokens.questions.length, 1)
  clock.ms = 270_000
  await images.image(request, AMD64)
  assert.equal(tokens.questions.length, 2)
})

test('a token whose service does not say lives for less than a minute', async (t) => {
  const { tokens, images, clock, request } = await startBearer(t)
  await images.image(request, AMD64)

  clock.ms = 54_000
  await images.image(request, AMD64)

  assert.equal(tokens.questions.length, 2)
})

test('a token that the registry refuses before its time is fetched anew, once', async (t) => {
  const { tokens, registry, images, request } = await startBearer(t)
  await images.image(request, AMD64)
  registry.requests.length = 0
  tokens.withdraw()

  await images.image(request, AMD64)

  assert.equal(tokens.questions.length, 2)
  assert.equal(registry.requests.length, 2)
})

test('a token that does not open the door is UNAUTHORIZED after one try', async (t) => {
  const tokens = await startTokenServer(t)
  const auth = { kind: 'bearer' as const, challenge: tokens.challenge, accepts: () => false }
  const registry = await FakeRegistry.start(t, { auth })

  await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'UNAUTHORIZED',
    status: 401,
    step: 'manifest',
  })
  assert.equal(registry.requests.length, 2)
})

const TOKEN_FAILURES: readonly [status: number, code: string][] = [
  [400, 'UNAUTHORIZED'],
  [401, 'UNAUTHORIZED'],
  [403, 'DENIED'],
  [404, 'UNAVAILABLE'],
  [429, 'TOOMANYREQUESTS'],
  [302, 'UNAVAILABLE'],
  [500, 'UNAVAILABLE'],
]

for (const [status, code] of TOKEN_FAILURES) {
  test(`a token service that answers ${status} is ${code}, and is asked anew next time`, async (t) => {
    let answers = 0
    const { tokens, images, request } = await startBearer(t, {
      answer: () => (answers++ === 0 ? { status } : undefined),
    })

    await assert.rejects(images.image(request, AMD64), { code, status, step: 'token' })
    assert.equal((await images.image(request, AMD64)).imageId, IMAGE.imageId)
    assert.equal(tokens.questions.length, 2)
  })
}

test('questions that end at the token service give their connections back', async (t) => {
  const { registry, images, request } = await startBearer(t, { answer: () => ({ status: 500 }) })

  for (let round = 0; round < 20; round += 1) {
    await assert.rejects(images.image(request, AMD64), { step: 'token' })
  }

  assert.equal(registry.requests.length, 20)
  assert.ok(registry.server.accepted() <= 3, `${registry.server.accepted()} connections`)
})

test('a remembered token service that fails is forgotten: the registry says where it is now', async (t) => {
  let status: number | undefined
  const { registry, images, clock, request } = await startBearer(t, {
    answer: () => (status === undefined ? undefined : { status }),
  })
  await images.image(request, AMD64)
  clock.ms = 60_000
  status = 500
  await assert.rejects(images.image(request, AMD64), { step: 'token' })
  registry.requests.length = 0
  status = undefined

  await images.image(request, AMD64)

  assert.deepEqual(
    registry.requests.map(({ headers }) => headers.authorization),
    [undefined, 'Bearer token-2'],
  )
})

for (const body of ['', '[]', '{}', '{"token":""}', '{"token":"a\\r\\nb: c"}', '{"token":7}']) {
  test(`a token service that answers ${JSON.stringify(body)} gave no token`, async (t) => {
    const { images, request } = await startBearer(t, { answer: () => ({ status: 200, body }) })

    await assert.rejects(images.image(request, AMD64), { code: 'UNAVAILABLE', step: 'token' })
  })
}

test('a token may be called access_token', async (t) => {
  const { registry, images, request } = await startBearer(t, {
    answer: () => ({ status: 200, body: '{"access_token":"other"}' }),
  })

  await assert.rejects(images.image(request, AMD64), { code: 'UNAUTHORIZED', step: 'manifest' })
  assert.equal(registry.requests[1]?.headers.authorization, 'Bearer other')
})

test('a token service that is down is UNAVAILABLE', async (t) => {
  const { tokens, images, request } = await startBearer(t)
  await tokens.stop()

  await assert.rejects(images.image(request, AMD64), {
    code: 'UNAVAILABLE',
    message: `${tokens.host}: connect ECONNREFUSED ${tokens.host}`,
  })
})

test('a token service that says nothing is out of time', async (t) => {
  const { registry } = await startBearer(t, { gate: new Promise(() => {}) })
  const images = startImages(t, { attemptTimeoutMs: 100 })

  await assert.rejects(images.image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'DEADLINE_EXCEEDED',
  })
})

test('an identity token is exchanged by POST', async (t) => {
  const { tokens, images, request } = await startBearer(t)

  await images.image({ ...request, credentials: IDENTITY }, AMD64)

  assert.deepEqual(tokens.questions, [
    {
      method: 'POST',
      params: {
        grant_type: 'refresh_token',
        client_id: 'image-resolver',
        service: 'fake',
        scope: 'repository:library/app:pull',
        refresh_token: 'identity',
      },
      authorization: undefined,
    },
  ])
})

for (const status of [400, 401, 404, 405]) {
  test(`a token service that answers ${status} to a POST is asked by GET`, async (t) => {
    const { tokens, images, request } = await startBearer(t, {
      answer: ({ method }) => (method === 'POST' ? { status } : undefined),
    })

    await images.image({ ...request, credentials: IDENTITY }, AMD64)

    assert.deepEqual(
      tokens.questions.map(({ method, authorization }) => [method, authorization]),
      [
        ['POST', undefined],
        ['GET', `Basic ${btoa('<token>:identity')}`],
      ],
    )
  })
}

test('a token service that knows no GET is given user and password by POST', async (t) => {
  const { tokens, images, request } = await startBearer(t, {
    answer: ({ method }) => (method === 'GET' ? { status: 405 } : undefined),
  })

  await images.image({ ...request, credentials: USER }, AMD64)

  assert.deepEqual(tokens.questions[1], {
    method: 'POST',
    params: {
      grant_type: 'password',
      username: 'user',
      password: 'pa:ss',
      client_id: 'image-resolver',
      service: 'fake',
      scope: 'repository:library/app:pull',
    },
    authorization: undefined,
  })
  // Who has no password has nothing to post.
  await assert.rejects(images.image(request, AMD64), { step: 'token', status: 405 })
})

test('a registry token is sent as it is, and a refusal of it is final', async (t) => {
  const { tokens, registry, images, request } = await startBearer(t)
  const credentials = { kind: 'registryToken', token: 'mine' } as const

  await assert.rejects(images.image({ ...request, credentials }, AMD64), { code: 'UNAUTHORIZED' })
  assert.equal(registry.requests[0]?.headers.authorization, 'Bearer mine')
  assert.equal(registry.requests.length, 1)
  assert.equal(tokens.questions.length, 0)
})

test('of several challenges in several headers Bearer is answered', async (t) => {
  const tokens = await startTokenServer(t)
  const challenges = ['Negotiate', `Basic realm="x", ${tokens.challenge}`]
  const registry = await startScriptedRegistry(t, [
    { status: 401, headers: { 'www-authenticate': challenges } },
    { status: 200, body: IMAGE.bytes },
  ])

  const { imageId } = await startImages(t).image(ask(registry, 'library/app', '1'), AMD64)

  assert.equal(imageId, IMAGE.imageId)
  assert.equal(registry.requests[1]?.headers.authorization, 'Bearer token-1')
})

const BAD_CHALLENGES: readonly [header: string, code: string, step: string][] = [
  ['Bearer', 'UNAVAILABLE', 'token'],
  ['Bearer realm="/token"', 'UNAVAILABLE', 'token'],
  ['Bearer realm="ftp://host.corp/token"', 'DENIED', 'token'],
  ['Negotiate', 'UNAUTHORIZED', 'manifest'],
]

for (const [header, code, step] of BAD_CHALLENGES) {
  test(`the challenge ${header} cannot be met and is ${code}`, async (t) => {
    const challenge = { status: 401, headers: { 'www-authenticate': header } }
    const registry = await startScriptedRegistry(t, [challenge])

    const answer = startImages(t).image(ask(registry, 'library/app', '1'), AMD64)

    await assert.rejects(answer, { code, step })
    assert.equal(registry.requests.length, 1)
  })
}

test('a 403 is final: no token is fetched for it', async (t) => {
  const { tokens, registry, images, request } = await startBearer(t)
  await images.image(request, AMD64)
  registry.behaviour = refuseWith(403)

  await assert.rejects(images.image(request, AMD64), { code: 'DENIED', status: 403 })
  assert.equal(tokens.questions.length, 1)
})

const MORE = 'repository:library/app:pull,metadata_read'

for (const status of [401, 403]) {
  test(`a token that ${status} calls too small is fetched anew, once, with what is missing`, async (t) => {
    const tokens = await startTokenServer(t)
    const bearer = `Bearer realm="${tokens.url}/token",service="fake"`
    const tooSmall = `${bearer},scope="${MORE}",error="insufficient_scope"`
    const registry = await startScriptedRegistry(t, [
      { status: 401, headers: { 'www-authenticate': bearer } },
      { status, headers: { 'www-authenticate': tooSmall } },
      { status: 200, body: IMAGE.bytes },
      { status: 200, body: IMAGE.bytes },
    ])
    const images = startImages(t)
    const request = ask(registry, 'library/app', '1')

    await images.image(request, AMD64)
    await images.image(request, AMD64)

    assert.deepEqual(
      tokens.questions.map(({ params }) => params['scope']),
      ['repository:library/app:pull', MORE],
    )
    assert.deepEqual(
      registry.requests.map(({ headers }) => headers.authorization),
      [undefined, 'Bearer token-1', 'Bearer token-2', 'Bearer token-2'],
    )
  })
}

test('a registry that never has enough is asked three times, and no more', async (t) => {
  const tokens = await startTokenServer(t)
  const challenge = (actions: string) => ({
    status: 401,
    headers: {
      'www-authenticate': `Bearer realm="${tokens.url}/token",scope="repository:library/app:${actions}",error="insufficient_scope"`,
    },
  })
  const registry = await startScriptedRegistry(t, [challenge('a'), challenge('b'), challenge('c')])

  await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'UNAUTHORIZED',
  })
  assert.equal(registry.requests.length, 3)
})

test('a remembered token that expired within its time is fetched anew though the scope is the same', async (t) => {
  const { tokens, registry, images, request } = await startBearer(t, { expiresIn: 300 })
  await images.digest(request)
  tokens.withdraw()

  await images.digest(request)

  assert.equal(tokens.questions.length, 2)
  assert.equal(registry.requests.at(-1)?.headers.authorization, 'Bearer token-2')
})

test('a token service of the allow-list may be on loopback though its registry is not', async (t) => {
  const tokens = await startTokenServer(t)
  const port = tokens.host.split(':')[1]
  const realm = `http://localhost:${port}/token`
  const challenge = { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}"` } }
  const ok = { status: 200, body: IMAGE.bytes }
  // 0.0.0.0 is no loopback name to us, and leads there all the same.
  const registry = await startScriptedRegistry(t, [challenge, challenge, ok])
  const request = ask({ url: registry.url.replace('127.0.0.1', '0.0.0.0') }, 'library/app', '1')

  await assert.rejects(startImages(t).image(request, AMD64), { code: 'DENIED', step: 'connect' })
  await startImages(t, { realms: [`localhost:${port}`] }).image(request, AMD64)

  assert.equal(tokens.questions.length, 1)
})

test('what a connection that believes any certificate names as token service is not believed elsewhere', async (t) => {
  const tokens = await startTokenServer(t)
  const challenge = { status: 401, headers: { 'www-authenticate': tokens.challenge } }
  const registry = await startScriptedRegistry(t, [challenge, challenge, { status: 401 }])
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1')
  const unverified = { ...request.endpoint, tls: { insecureSkipVerify: true } }
  await assert.rejects(images.image({ ...request, endpoint: unverified }, AMD64), {
    code: 'UNAUTHORIZED',
  })
  const before = tokens.questions.length
  const asked = images.image({ ...request, credentials: USER }, AMD64)

  await assert.rejects(asked, { code: 'UNAUTHORIZED' })

  assert.equal(registry.requests.at(-1)?.headers.authorization, undefined)
  assert.equal(tokens.questions.length, before)
})
