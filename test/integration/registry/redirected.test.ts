import assert from 'node:assert/strict'
import { createConnection } from 'node:net'
import { test } from 'node:test'
import { type Certificate, createCertificate } from '../../support/certificate.ts'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { startRawServer } from '../../support/listen.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { type Step, startScriptedRegistry } from '../../support/scripted-registry.ts'
import type { Cleanup } from '../../support/stack.ts'
import { startTokenServer } from '../../support/token-server.ts'

const IMAGE = buildImage({ seed: 'redirected' })
const USER = { kind: 'basic', username: 'user', password: 'pa:ss' } as const
const BASIC = `Basic ${Buffer.from('user:pa:ss').toString('base64')}`
const PATH = '/v2/library/app/manifests/1'
const SCOPE = 'repository:library/app:pull'
const TOKEN: Step = { status: 200, body: JSON.stringify({ token: 'given' }), always: true }
const BASIC_CHALLENGE: Step = {
  status: 401,
  headers: { 'www-authenticate': 'Basic realm="x"' },
  always: true,
}
const FOUND: Step = { status: 200, body: IMAGE.bytes, always: true }

function redirect(location: string, status = 307): Step {
  return { status, headers: { location }, always: true }
}

function challenge(realm: string): Step {
  const header = `Bearer realm="${realm}",service="x",scope="${SCOPE}"`
  return { status: 401, headers: { 'www-authenticate': header }, always: true }
}

/** Gives what is asked for to who has the token that the realm gives. */
function withTokens(realm: string): readonly Step[] {
  return [
    { on: { path: /^\/v2\//, authorization: 'Bearer given' }, ...FOUND },
    { on: { path: /^\/v2\// }, ...challenge(realm) },
  ]
}

/** A registry whose token service is at its own address. */
async function startSelfGiving(
  t: Cleanup,
  certificate?: Certificate,
  realmOf: (url: string) => string = (url) => `${url}/token`,
) {
  const script: Step[] = []
  const registry = await startScriptedRegistry(t, script, certificate)
  script.push({ on: { path: /^\/token/ }, ...TOKEN }, ...withTokens(realmOf(registry.url)))
  return registry
}

/** One port that speaks http and https, as a proxy in front of a registry does: http is sent on. */
async function startBothWays(t: Cleanup, secure: { readonly host: string }) {
  const plain: string[] = []
  const { host } = await startRawServer(t, (socket) => {
    socket.once('data', (head) => {
      if (head[0] === 0x16) {
        const onward = createConnection(Number(secure.host.split(':')[1]), '127.0.0.1')
        onward.on('error', () => socket.destroy())
        onward.on('close', () => socket.destroy())
        socket.on('close', () => onward.destroy())
        onward.write(head)
        socket.pipe(onward).pipe(socket)
        return
      }
      const text = head.toString()
      plain.push(text)
      const path = text.split(' ')[1] ?? ''
      const location = `https://${host}${path}`
      socket.end(`HTTP/1.1 301 Moved\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`)
    })
  })
  return { plain, host }
}

for (const status of [301, 302, 307, 308]) {
  test(`a token service that redirects with ${status} to itself is followed, with all that it was sent`, async (t) => {
    const tokens = await startScriptedRegistry(t, [
      { on: { path: /^\/token\?/ }, ...redirect('/v1/token?moved=yes', status) },
      { on: { path: /^\/v1\/token\?moved=yes$/, authorization: BASIC }, ...TOKEN },
    ])
    const registry = await startScriptedRegistry(t, withTokens(`${tokens.url}/token`))
    const request = ask(registry, 'library/app', '1', { credentials: USER })

    assert.equal((await startImages(t).image(request, AMD64)).imageId, IMAGE.imageId)
  })
}

test('the form of an identity token goes along with a redirect of its service', async (t) => {
  const credentials = { kind: 'identityToken', token: 'secret' } as const
  const tokens = await startScriptedRegistry(t, [
    { on: { method: 'POST', path: /^\/token$/ }, ...redirect('/v1/token', 308) },
    { on: { method: 'POST', path: /^\/v1\/token$/ }, ...TOKEN },
  ])
  const registry = await startScriptedRegistry(t, withTokens(`${tokens.url}/token`))

  await startImages(t).image(ask(registry, 'library/app', '1', { credentials }), AMD64)

  assert.match(tokens.requests[1]?.body ?? '', /refresh_token=secret/)
})

for (const [name, locate] of [
  ['another port', (other: string) => `http://${other}/token`],
  ['another host', (other: string) => `http://localhost:${other.split(':')[1]}/token`],
  ['a user of another port', (other: string) => `http://user:pass@${other}/token`],
  ['https of another port', (other: string) => `https://${other}/token`],
] as const) {
  test(`a token service that redirects to ${name} is not followed`, async (t) => {
    const other = await startTokenServer(t)
    const tokens = await startScriptedRegistry(t, [redirect(locate(other.host))])
    const registry = await startScriptedRegistry(t, [challenge(`${tokens.url}/token`)])
    const request = ask(registry, 'library/app', '1', { credentials: USER })

    await assert.rejects(startImages(t).image(request, AMD64), {
      code: 'UNAVAILABLE',
      step: 'token',
      status: 307,
      message: /redirects \(307\) to another host/,
    })
    assert.equal(other.accepted(), 0)
  })
}

test('a token service that redirects from https to http is refused', async (t) => {
  const certificate = createCertificate()
  const other = await startTokenServer(t)
  const tokens = await startScriptedRegistry(t, [redirect(`${other.url}/token`)], certificate)
  const registry = await startScriptedRegistry(t, [challenge(`${tokens.url}/token`)], certificate)
  const images = startImages(t, { ca: certificate.cert })

  await assert.rejects(images.image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'DENIED',
    step: 'token',
    message: /without TLS/,
  })
  assert.equal(other.accepted(), 0)
})

test('a token service that redirects to itself for ever is given up', async (t) => {
  const tokens = await startScriptedRegistry(t, [redirect('/token')])
  const registry = await startScriptedRegistry(t, [challenge(`${tokens.url}/token`)])

  await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'UNAVAILABLE',
    step: 'token',
  })
  assert.equal(tokens.requests.length, 4)
})

test('a redirect to a registry that wants an anonymous token gets one, without any credential of ours', async (t) => {
  const target = await startSelfGiving(t)
  const registry = await startScriptedRegistry(t, [
    { on: { authorization: false }, ...BASIC_CHALLENGE },
    redirect(`${target.url}${PATH}`),
  ])
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1', { credentials: USER })

  assert.equal((await images.image(request, AMD64)).imageId, IMAGE.imageId)
  await images.image(request, AMD64)

  assert.deepEqual(
    target.requests.map(({ path, headers }) => [path.split('?')[0], headers.authorization]),
    [
      [PATH, undefined],
      ['/token', undefined],
      [PATH, 'Bearer given'],
      // The token is kept, that one is wanted is found out anew.
      [PATH, undefined],
      [PATH, 'Bearer given'],
    ],
  )
  assert.equal(new URL(target.url + target.requests[1]?.path).searchParams.get('scope'), SCOPE)
  assert.equal(target.requests[1]?.headers.via, undefined)
})

for (const credentials of [
  { kind: 'identityToken', token: 'secret' },
  { kind: 'registryToken', token: 'secret' },
] as const) {
  test(`an ${credentials.kind} does not go to the token service of where a registry redirects`, async (t) => {
    const target = await startSelfGiving(t)
    const registry = await startScriptedRegistry(t, [redirect(`${target.url}${PATH}`)])

    await startImages(t).image(ask(registry, 'library/app', '1', { credentials }), AMD64)

    assert.ok(!JSON.stringify(target.requests).includes('secret'))
  })
}

test('headers that are set for a registry go neither to where it redirects nor to its token service', async (t) => {
  const target = await startSelfGiving(t)
  const registry = await startScriptedRegistry(t, [redirect(`${target.url}${PATH}`)])
  const request = ask(registry, 'library/app', '1')
  const endpoint = { ...request.endpoint, headers: { 'x-secret': 'secret' } }

  await startImages(t).image({ ...request, endpoint }, AMD64)

  assert.equal(registry.requests[0]?.headers['x-secret'], 'secret')
  assert.ok(!JSON.stringify(target.requests).includes('secret'))
})

test('a registry that is redirected to and wants more than an anonymous token has refused', async (t) => {
  const script: Step[] = []
  const target = await startScriptedRegistry(t, script)
  script.push({ on: { path: /^\/token/ }, ...TOKEN }, challenge(`${target.url}/token`))
  const registry = await startScriptedRegistry(t, [redirect(`${target.url}${PATH}`)])

  await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'UNAUTHORIZED',
    step: 'manifest',
  })
  assert.equal(target.requests.length, 3)
})

for (const [name, realmAt] of [
  ['loopback', (port: string) => `http://127.0.0.1:${port}/token`],
  ['loopback by name', (port: string) => `http://localhost:${port}/token`],
  ['loopback in IPv6 clothes', (port: string) => `http://[::ffff:127.0.0.1]:${port}/token`],
  ['any address of this machine', (port: string) => `http://0.0.0.0:${port}/token`],
  ['a user on loopback', (port: string) => `http://user:pass@127.0.0.1:${port}/token`],
  ['link-local', () => 'http://169.254.169.254/latest/token'],
  ['a private network', () => 'http://10.0.0.1/token'],
  ["a cloud's metadata service", () => 'http://100.100.100.200/token'],
] as const) {
  test(`where a registry redirects does not decide that a token is fetched from ${name}`, async (t) => {
    const inside = await startTokenServer(t)
    const target = await startScriptedRegistry(t, [
      challenge(realmAt(inside.host.split(':')[1] ?? '')),
    ])
    const registry = await startScriptedRegistry(t, [redirect(`${target.url}${PATH}`)])

    await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), {
      code: 'DENIED',
      step: 'connect',
    })
    assert.equal(inside.accepted(), 0)
  })
}

test('a token service that the operator allowed is not there for where a registry redirects', async (t) => {
  const inside = await startTokenServer(t)
  const target = await startScriptedRegistry(t, [challenge(`${inside.url}/token`)])
  const registry = await startScriptedRegistry(t, [redirect(`${target.url}${PATH}`)])
  const images = startImages(t, { realms: [inside.host] })

  await assert.rejects(images.image(ask(registry, 'library/app', '1'), AMD64), { code: 'DENIED' })
  assert.equal(inside.accepted(), 0)
})

for (const [name, realmOf] of [
  ['the same port', (url: string) => url.replace('https:', 'http:')],
  ['the default port', () => 'http://127.0.0.1'],
  ['a port of the inside', () => 'http://127.0.0.1:8080'],
] as const) {
  test(`a realm that names the registry's own https host as http, at ${name}, is asked by https`, async (t) => {
    const certificate = createCertificate()
    const registry = await startSelfGiving(t, certificate, (url) => `${realmOf(url)}/token?x=1`)
    const images = startImages(t, { ca: certificate.cert })
    const request = ask(registry, 'library/app', '1', { credentials: USER })

    assert.equal((await images.image(request, AMD64)).imageId, IMAGE.imageId)
    const asked = registry.requests.find(({ path }) => path.startsWith('/token?x=1&'))
    assert.equal(asked?.headers.authorization, BASIC)
  })
}

test('a realm of another host without TLS is refused for an https registry', async (t) => {
  const tokens = await startTokenServer(t)
  const certificate = createCertificate()
  const realm = `${tokens.url.replace('127.0.0.1', 'localhost')}/token`
  const registry = await startScriptedRegistry(t, [challenge(realm)], certificate)
  const images = startImages(t, { ca: certificate.cert })

  await assert.rejects(images.image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'DENIED',
    step: 'token',
    message: /without TLS/,
  })
  assert.equal(tokens.accepted(), 0)
})

test('an http registry that sends questions on to https keeps its credentials, its headers and its TLS settings', async (t) => {
  const secure = await startScriptedRegistry(
    t,
    [
      { on: { authorization: BASIC }, ...FOUND },
      { ...BASIC_CHALLENGE, always: true },
    ],
    createCertificate(),
  )
  const door = await startBothWays(t, secure)
  const warnings: (string | undefined)[] = []
  const images = startImages(t)
  const request = ask({ url: `http://${door.host}` }, 'library/app', '1', {
    credentials: USER,
    observe: ({ warning }) => void warnings.push(warning),
  })
  const tls = { insecureSkipVerify: true }
  const endpoint = { ...request.endpoint, headers: { 'x-own': 'yes' }, tls }

  const { imageId } = await images.image({ ...request, endpoint }, AMD64)
  await images.image({ ...request, endpoint }, AMD64)

  assert.equal(imageId, IMAGE.imageId)
  assert.ok(secure.requests.every(({ headers }) => headers['x-own'] === 'yes'))
  assert.ok(door.plain.every((head) => !/authorization/i.test(head)))
  assert.equal(
    warnings[0],
    `it sends every question on to https: write https://${door.host} as its address`,
  )
})

test('the certificate of https to which http leads is verified', async (t) => {
  const secure = await startScriptedRegistry(t, [FOUND], createCertificate())
  const door = await startBothWays(t, secure)
  const request = ask({ url: `http://${door.host}` }, 'library/app', '1', { credentials: USER })

  await assert.rejects(startImages(t).image(request, AMD64), { code: 'UNAVAILABLE' })
  assert.equal(secure.requests.length, 0)
})

test('https at another port, or on another host, than the http that led there gets no credentials', async (t) => {
  const certificate = createCertificate()
  const target = await FakeRegistry.start(t, { auth: USER, certificate })
  target.put('library/app', '1', IMAGE)
  const registry = await startScriptedRegistry(t, [redirect(`${target.url}${PATH}`)])
  const request = ask(registry, 'library/app', '1', { credentials: USER })
  const images = startImages(t, { ca: certificate.cert })

  await assert.rejects(images.image(request, AMD64), { code: 'UNAUTHORIZED' })
  assert.ok(target.requests.every(({ headers }) => headers.authorization === undefined))
})
