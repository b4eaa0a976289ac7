import assert from 'node:assert/strict'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type LoadedConfig, loadConfig } from '../../../src/config/load.ts'
import { ConfigMapReader } from '../../../src/config/sources/image-cri-shim.ts'
import { getFromKubeApi } from '../../../src/config/sources/kube-api.ts'
import { createCertificate } from '../../support/certificate.ts'
import { type ReceivedRequest, startServer } from '../../support/http-server.ts'
import { temporaryFolder } from '../../support/stack.ts'

const SHARED = `
version: v1
offlinePriority: 900
sealos:
  address: http://sealos.hub:5000
  auth: {username: admin, password: "pa:ss"}
registries:
  - address: https://registry.corp
    auth: {username: u, password: p}
    priority: 800
  - address: https://open.corp
    auth: {username: "", password: ""}
reloadInterval: 30s
cache: {imageCacheSize: 7}
`
const LOCAL = `
address: http://old.hub:5000
auth: old:secret
registries: [{address: https://gone.corp}]
cache: {imageCacheTTL: 5m}
`

type Answer = (response: ServerResponse) => void

interface Cluster {
  readonly received: ReceivedRequest[]
  readonly folder: string
  readonly kubeconfig: string
  /** What the API server does from now on. */
  answer: Answer
  load(reader?: ConfigMapReader, more?: string): Promise<LoadedConfig>
}

function configMap(text: string): Answer {
  return (response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ kind: 'ConfigMap', data: { 'registries.yaml': text } }))
  }
}

function status(code: number): Answer {
  return (response) => response.writeHead(code).end('{"kind":"Status"}')
}

/** An API server that asks for a client certificate or a token, and a node's file. */
async function cluster(t: TestContext, user: object = { token: 't0k' }): Promise<Cluster> {
  const certificate = createCertificate()
  const received: ReceivedRequest[] = []
  const folder = temporaryFolder(t)
  const server = await startServer(
    t,
    ({ method = '', url = '', headers }, response) => {
      received.push({ method, path: url, headers })
      scene.answer(response)
    },
    certificate,
  )
  const kubeconfig = join(folder, 'admin.conf')
  const ca = Buffer.from(certificate.cert).toString('base64')
  await writeFile(
    kubeconfig,
    JSON.stringify({
      'current-context': 'here',
      contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
      clusters: [
        {
          name: 'c',
          cluster: { server: `https://${server.host}`, 'certificate-authority-data': ca },
        },
      ],
      users: [{ name: 'u', user }],
    }),
  )
  await mkdir(join(folder, 'state'))
  const file = join(folder, 'image-cri-shim.yaml')
  const scene: Cluster = {
    received,
    folder: join(folder, 'state'),
    kubeconfig,
    answer: configMap(SHARED),
    load: async (configMaps, more = LOCAL) => {
      const lines = `image: ${join(folder, 'state')}\nconfigMap: {kubeconfig: ${kubeconfig}}\n`
      await writeFile(file, `${lines}${more}`, { mode: 0o600 })
      return loadConfig({ file, ...(configMaps === undefined ? {} : { configMaps }) })
    },
  }
  return scene
}

function names({ config }: LoadedConfig): readonly string[] {
  return config.registries.map(({ name }) => name)
}

test('the ConfigMap of image-cri-shim means what it means to image-cri-shim', async (t) => {
  const scene = await cluster(t)

  const { config, warnings } = await scene.load()

  assert.deepEqual(warnings, [])
  assert.deepEqual(
    config.registries.map(({ name, priority, credentials }) => [name, priority, credentials]),
    [
      ['sealos.hub:5000', 900, { kind: 'basic', username: 'admin', password: 'pa:ss' }],
      ['registry.corp', 800, { kind: 'basic', username: 'u', password: 'p' }],
      ['open.corp', 500, undefined],
    ],
  )
  assert.equal(config.reloadIntervalMs, 30_000)
  assert.equal(config.cache.imageCacheSize, 7)
  assert.equal(config.cache.imageCacheTTLMs, 300_000)
  const [request] = scene.received
  assert.equal(
    request?.path,
    '/api/v1/namespaces/kube-system/configmaps/image-cri-shim?resourceVersion=0',
  )
  assert.equal(request?.headers.authorization, 'Bearer t0k')
})

test('credentials of the file are for the address of the file', async (t) => {
  const scene = await cluster(t)
  scene.answer = configMap('sealos: {address: "http://other.hub:5000"}\n')
  const moved = await scene.load()
  scene.answer = configMap('sealos: {address: "http://old.hub:5000"}\n')
  const same = await scene.load()

  assert.deepEqual(names(moved), ['other.hub:5000', 'gone.corp'])
  assert.equal(moved.config.registries[0]?.credentials, undefined)
  assert.equal(same.config.registries[0]?.credentials?.kind, 'basic')
})

const FAILURES: readonly [words: string, answer: Answer, expected: RegExp][] = [
  ['is not there', status(404), /kube-system\/image-cri-shim: there is none of this name/],
  ['may not be read', status(403), /does not let us get it \(403\)/],
  ['cannot be had', status(500), /answers with status 500/],
  ['comes as no JSON', (response) => response.end('<html>'), /answers with no JSON/],
  ['is cut off', (response) => response.destroy(), /cannot be asked/],
  ['is huge', (response) => response.end('x'.repeat(4 * 1024 * 1024)), /more than 3145728 bytes/],
  ['has another key', (response) => response.end('{"data":{"x":"y"}}'), /has no registries\.yaml/],
  [
    'comes as null',
    (response) => response.end('null'),
    /answers with null; a ConfigMap was expected/,
  ],
  ['comes as a list', (response) => response.end('[{}]'), /answers with a list; a ConfigMap was/],
  [
    'comes as another kind',
    (response) => response.end('{"kind":"Secret","data":{"registries.yaml":"eA=="}}'),
    /answers with kind "Secret"; a ConfigMap was expected/,
  ],
  [
    'comes as a kind of any length',
    (response) => response.end(JSON.stringify({ kind: `${'x'.repeat(9_999)}\u001b` })),
    /answers with kind "x{160}…"; a ConfigMap was expected/,
  ],
  ['has no data', (response) => response.end('{"data":[]}'), /has no registries\.yaml/],
  ['is no YAML', configMap('registries: ['), /registries\.yaml:\d+/],
  [
    'names a file of the node',
    configMap('registries: [{address: evil.corp, username: u, passwordFile: /etc/shadow}]'),
    /registries\[0\]\.passwordFile: not read from a ConfigMap/,
  ],
  [
    'names a store for the fleet',
    configMap('cache: {tagTTL: 5s, shared: {url: "redis://evil.corp", key: "file:/etc/shadow"}}'),
    /cache\.shared: not read from a ConfigMap/,
  ],
  ['moves the socket', configMap('shim: /tmp/x.sock'), /shim: not read from a ConfigMap/],
]

for (const [words, answer, expected] of FAILURES) {
  test(`a ConfigMap that ${words} leaves the last good one in force, also over a restart`, async (t) => {
    const scene = await cluster(t)
    scene.answer = answer
    const first = await scene.load(new ConfigMapReader({ save: true }))
    scene.answer = configMap(SHARED)
    const reader = new ConfigMapReader({ save: true })
    const good = await scene.load(reader)
    scene.answer = answer
    const running = await scene.load(reader)
    const restarted = await scene.load(new ConfigMapReader({ save: true }))

    assert.deepEqual(names(first), ['old.hub:5000', 'gone.corp'])
    assert.match(first.warnings.join('\n'), expected)
    assert.match(first.warnings.join('\n'), /; the file alone counts; each reload tries again$/)
    for (const later of [running, restarted]) {
      assert.deepEqual(names(later), names(good))
      assert.equal(later.fingerprint, good.fingerprint)
      assert.match(later.warnings.join('\n'), /; the last good one stays$/)
    }
  })
}

test('what is kept is for this user alone, and the same problem is news once', async (t) => {
  const scene = await cluster(t)
  const reader = new ConfigMapReader({ save: true })
  await scene.load(reader)
  scene.answer = status(500)
  await scene.load(reader)
  await scene.load(reader)

  assert.equal(reader.takeNews().length, 1)
  assert.deepEqual(reader.takeNews(), [])
  scene.answer = configMap(SHARED)
  await scene.load(reader)
  scene.answer = status(500)
  await scene.load(reader)
  assert.equal(reader.takeNews().length, 1)
  const kept = join(scene.folder, 'configmap.yaml')
  assert.equal((await stat(kept)).mode & 0o777, 0o600)
  assert.equal(await readFile(kept, 'utf8'), SHARED)
})

test('a command reads the ConfigMap, and writes nothing', async (t) => {
  const scene = await cluster(t)
  await scene.load()

  await assert.rejects(stat(join(scene.folder, 'configmap.yaml')), { code: 'ENOENT' })
})

test('with a good one on the disk an API server that does not answer delays the start for a second at most', async (t) => {
  const scene = await cluster(t)
  await scene.load(new ConfigMapReader({ save: true }))
  const limits: (number | undefined)[] = []
  const reader = new ConfigMapReader({
    get: async (_path, { limitMs }) => {
      limits.push(limitMs)
      throw new Error('no answer')
    },
  })

  const started = await scene.load(reader)
  await scene.load(reader)

  assert.equal(names(started)[0], 'sealos.hub:5000')
  assert.deepEqual(limits, [1_000, undefined])
})

test('with none on the disk an API server that does not answer delays the start for 2 s at most', async (t) => {
  const scene = await cluster(t)
  const limits: (number | undefined)[] = []
  const reader = new ConfigMapReader({
    get: async (_path, { limitMs }) => {
      limits.push(limitMs)
      throw new Error('no answer')
    },
  })

  await scene.load(reader)
  await scene.load(reader)

  assert.deepEqual(limits, [2_000, undefined])
})

test('a kubeconfig may have its certificates and tokens in files beside it', async (t) => {
  const own = createCertificate()
  const scene = await cluster(t, {
    'client-certificate': 'client.pem',
    'client-key-data': Buffer.from(own.key).toString('base64'),
    tokenFile: 'token',
  })
  const beside = join(scene.folder, '..')
  await writeFile(join(beside, 'client.pem'), own.cert)
  await writeFile(join(beside, 'token'), 'from-a-file\n')

  await scene.load()

  assert.equal(scene.received[0]?.headers.authorization, 'Bearer from-a-file')
})

for (const yes of ['true', 'True']) {
  test(`a kubeconfig may have its API server believed as it is: ${yes}`, async (t) => {
    const scene = await cluster(t)
    const text = await readFile(scene.kubeconfig, 'utf8')
    const ca = /"certificate-authority-data":"[^"]*"/
    await writeFile(scene.kubeconfig, text.replace(ca, `"insecure-skip-tls-verify":${yes}`))

    const { warnings } = await scene.load()

    assert.deepEqual(warnings, [])
    assert.equal(scene.received.length, 1)
  })
}

test('text in a kubeconfig does not have the API server believed as it is', async (t) => {
  const scene = await cluster(t)
  const text = await readFile(scene.kubeconfig, 'utf8')
  const ca = /"certificate-authority-data":"[^"]*"/
  await writeFile(scene.kubeconfig, text.replace(ca, '"insecure-skip-tls-verify":"true"'))

  await scene.load()

  assert.equal(scene.received.length, 0)
})

test('an API server that does not answer is given up', async (t) => {
  const scene = await cluster(t)
  scene.answer = () => undefined

  await assert.rejects(getFromKubeApi('/x', { kubeconfig: scene.kubeconfig, limitMs: 50 }), {
    code: 'UNAVAILABLE',
    message: /does not answer within 50ms/,
  })
})

test('the service account of the pod is used where there is no kubeconfig', async (t) => {
  const certificate = createCertificate()
  const folder = temporaryFolder(t)
  const tokens: unknown[] = []
  const server = await startServer(
    t,
    ({ headers }, response) => {
      tokens.push(headers.authorization)
      response.end('{"data":{}}')
    },
    certificate,
  )
  const [host, port] = server.host.split(':')
  await writeFile(join(folder, 'token'), 'first\n')
  await writeFile(join(folder, 'ca.crt'), certificate.cert)
  const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }
  const ask = () => getFromKubeApi('/x', { kubeconfig: undefined, env, serviceAccount: folder })

  await ask()
  await writeFile(join(folder, 'token'), 'rotated\n')
  await ask()

  assert.deepEqual(tokens, ['Bearer first', 'Bearer rotated'])
  await assert.rejects(getFromKubeApi('/x', { kubeconfig: undefined, env: {} }), {
    code: 'CONFIG_INVALID',
    message: /no kubeconfig, and this is no pod/,
  })
})

test('the API server is verified, and asked over https alone', async (t) => {
  const scene = await cluster(t)
  const text = await readFile(scene.kubeconfig, 'utf8')
  const other = Buffer.from(createCertificate().cert).toString('base64')
  const variants: readonly [string, RegExp][] = [
    [
      text.replace(
        /"certificate-authority-data":"[^"]*"/,
        `"certificate-authority-data":"${other}"`,
      ),
      /self-signed|certificate/,
    ],
    [text.replace('https://', 'http://'), /over https/],
    [text.replace('"token":"t0k"', '"exec":{"command":"aws"}'), /exec is not used/],
    [text.replace('"token":"t0k"', '"token":"a b"'), /token for the API server is not one/],
    [
      text.replace('"token":"t0k"', '"client-certificate":"none.pem"'),
      /none\.pem cannot be read \(ENOENT\)/,
    ],
    [text.replace('"server"', '"serve"'), /has no server/],
    ['{', /is not YAML/],
  ]
  for (const [content, expected] of variants) {
    await writeFile(scene.kubeconfig, content)

    await assert.rejects(getFromKubeApi('/x', { kubeconfig: scene.kubeconfig }), {
      message: expected,
    })
  }
  assert.deepEqual(scene.received, [])
})
