import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../src/config/diagnostics.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigMapReader } from '../../../src/config/sources/image-cri-shim.ts'
import { loadText, problemsIn } from '../../support/config.ts'
import { temporaryFolder } from '../../support/stack.ts'

const DEFAULTS = {
  shim: '/var/run/image-cri-shim.sock',
  cri: undefined,
  criExpected: false,
  force: false,
  debug: false,
  image: '/var/lib/image-resolver',
  version: undefined,
  timeoutMs: 900_000,
  reloadIntervalMs: 15_000,
  probeBudgetMs: 2_000,
  hedgeDelayMs: 300,
  cache: {
    imageCacheSize: 1024,
    imageCacheTTLMs: 1_800_000,
    domainCacheTTLMs: 600_000,
    tagTTLMs: 60_000,
    statsLogIntervalMs: 60_000,
    disableStats: false,
    negativeTTLMs: 10_000,
    staleIfErrorMs: 86_400_000,
    shared: undefined,
  },
  registries: [],
  resolvers: [],
  mirrorsOnly: [],
  realms: [],
  hostsDir: undefined,
  portoshim: undefined,
  configMap: undefined,
  verifyDigest: false,
  keychain: {
    dockerConfigs: [],
    pullSecrets: [],
    credentialProviders: undefined,
    helperTimeoutMs: 10_000,
  },
  proxy: { http: undefined, https: undefined, no: undefined },
  pauseImage: undefined,
  http: {
    listen: '127.0.0.1:9430',
    token: undefined,
    tokenFile: undefined,
    tls: undefined,
    rateLimit: 0,
    events: false,
  },
  mirror: { enabled: false, blobs: 96, blobsPerClient: 24 },
  pull: { byDigest: true, skipUnchanged: true, freshnessMs: 5_000 },
  check: { intervalMs: 0 },
  admission: { enabled: false, budgetMs: 1_000, onFailure: 'passthrough' },
  onResolveError: 'passthrough',
}

test('without a file the defaults hold, and no file is read', async () => {
  const loaded = await loadConfig({
    file: undefined,
    read: () => assert.fail('nothing is to be read'),
    socketExists: () => false,
    env: {},
  })

  assert.deepEqual(loaded, {
    config: { file: undefined, ...DEFAULTS },
    warnings: [],
    broken: [],
    notes: [],
    blank: true,
    fingerprint: '',
  })
})

for (const text of ['', '# nothing here\n', '---\n', '{}\n']) {
  test(`a file with ${JSON.stringify(text)} means the defaults`, () => {
    const { blank, config, warnings } = loadText(text)

    assert.deepEqual(config, { file: '/etc/x.yaml', ...DEFAULTS })
    assert.deepEqual(warnings, [])
    assert.equal(blank, !text.includes('{}'))
  })
}

test('a field whose value is empty is a field that is not there', () => {
  const text = [
    'shim:',
    'cri: ""',
    'auth: ~',
    'address: null',
    'timeout: ""',
    'cache:',
    'registries:',
    'resolvers:',
    'mirrorsOnly:',
    'hostsDir: ""',
    'portoshim:',
    'keychain: {dockerConfigs: , credentialProviders: }',
    'proxy:',
    'mirror: {enabled: ""}',
  ]

  const { config } = loadText(
    `${text.join('\n')}\nhttp: {listen: , token: "", tls: }\nversion: ""\n`,
  )

  assert.deepEqual(config, { file: '/etc/x.yaml', ...DEFAULTS })
})

test('a file that names shim or cri expects the CRI socket to be open', () => {
  for (const [text, expected] of [
    ['shim: /run/x.sock\n', true],
    ['cri: /run/y.sock\n', true],
    ['address: hub.corp\n', false],
  ] as const) {
    assert.equal(loadText(text).config.criExpected, expected, text)
  }
})

test('every field of the file is in the configuration', () => {
  const { config, warnings } = loadText(`
shim: unix:///run/a.sock
cri: unix:///run/b.sock
address: https://hub.corp/mirror
auth: admin:pw
offlinePriority: 700
force: true
debug: true
image: /var/lib/image-cri-shim
version: v1alpha2
timeout: 20m
reloadInterval: 1m
probeBudget: 500ms
hedgeDelay: 0
cache:
  imageCacheSize: 7
  imageCacheTTL: 1h
  domainCacheTTL: 2h
  statsLogInterval: 3h
  disableStats: true
  tagTTL: 5s
  negativeTTL: 7s
  staleIfError: 48h
registries:
  - address: 10.0.0.7:5000
    username: u
    passwordFile: /etc/secret
    priority: 900
    upstreams: [index.docker.io, docker.io, "*.Corp", quay.io/team]
    path: mirror/{domain}/{path}
    capabilities: [pull]
    trusted: false
    ca: /etc/ca.pem
    cert: /etc/cert.pem
    key: /etc/key.pem
    insecureSkipVerify: true
resolvers: [{url: "https://resolver.corp", ca: /etc/ca.pem, tokenFile: /etc/token}]
mirrorsOnly: [index.docker.io, docker.io]
realms: ["Auth.corp:8443"]
hostsDir: /etc/containerd/certs.d
portoshim: /etc/portoshim.yaml
configMap: {name: ns/map, key: shim.yaml, kubeconfig: /etc/admin.conf}
verifyDigest: true
keychain:
  dockerConfigs: [/root/.docker/config.json]
  pullSecrets: [/etc/secret.json]
  credentialProviders: {config: /etc/providers.yaml, binDir: /opt/providers}
  helperTimeout: 3s
proxy: {http: "proxy.corp:3128", https: "https://u:p@proxy.corp", no: .corp}
http:
  listen: unix:///run/http.sock
  token: s3cret
  tls: {cert: /etc/http.pem, key: /etc/http.key}
  rateLimit: 600
  events: true
mirror: {enabled: true, blobs: 200, blobsPerClient: 100}
pull: {byDigest: false, skipUnchanged: false, freshness: 9s}
check: {interval: 6h}
admission: {enabled: true, budget: 2s, onFailure: reject}
onResolveError: reject
`)

  assert.deepEqual(warnings, [])
  assert.deepEqual(config, {
    file: '/etc/x.yaml',
    shim: '/run/a.sock',
    cri: '/run/b.sock',
    criExpected: true,
    force: true,
    debug: true,
    image: '/var/lib/image-cri-shim',
    version: 'v1alpha2',
    timeoutMs: 1_200_000,
    reloadIntervalMs: 60_000,
    probeBudgetMs: 500,
    hedgeDelayMs: 0,
    cache: {
      imageCacheSize: 7,
      imageCacheTTLMs: 3_600_000,
      domainCacheTTLMs: 7_200_000,
      statsLogIntervalMs: 10_800_000,
      disableStats: true,
      tagTTLMs: 5000,
      negativeTTLMs: 7000,
      staleIfErrorMs: 172_800_000,
      shared: undefined,
    },
    registries: [
      {
        name: '10.0.0.7:5000',
        endpoint: {
          scheme: 'https',
          host: '10.0.0.7:5000',
          prefix: '',
          tls: {
            caFiles: ['/etc/ca.pem'],
            certFile: '/etc/cert.pem',
            keyFile: '/etc/key.pem',
            insecureSkipVerify: true,
          },
        },
        priority: 900,
        offline: false,
        credentialFiles: { username: 'u', passwordFile: '/etc/secret' },
        upstreams: ['docker.io', '*.corp', 'quay.io/team'],
        path: 'mirror/{domain}/{path}',
        capabilities: ['pull'],
        trusted: false,
      },
      {
        name: 'hub.corp/mirror',
        endpoint: { scheme: 'https', host: 'hub.corp', prefix: 'mirror' },
        priority: 700,
        offline: true,
        credentials: { kind: 'basic', username: 'admin', password: 'pw' },
      },
    ],
    resolvers: [
      {
        endpoint: {
          scheme: 'https',
          host: 'resolver.corp',
          prefix: '',
          tls: { caFiles: ['/etc/ca.pem'] },
        },
        tokenFile: '/etc/token',
      },
    ],
    mirrorsOnly: ['docker.io'],
    realms: ['auth.corp:8443'],
    hostsDir: '/etc/containerd/certs.d',
    portoshim: '/etc/portoshim.yaml',
    configMap: {
      name: 'ns/map',
      key: 'shim.yaml',
      kubeconfig: '/etc/admin.conf',
    },
    verifyDigest: true,
    keychain: {
      dockerConfigs: ['/root/.docker/config.json'],
      pullSecrets: ['/etc/secret.json'],
      credentialProviders: { config: '/etc/providers.yaml', binDir: '/opt/providers' },
      helperTimeoutMs: 3000,
    },
    proxy: { http: 'http://proxy.corp:3128', https: 'https://u:p@proxy.corp', no: '.corp' },
    pauseImage: undefined,
    http: {
      listen: 'unix:///run/http.sock',
      token: 's3cret',
      tokenFile: undefined,
      tls: { cert: '/etc/http.pem', key: '/etc/http.key' },
      rateLimit: 600,
      events: true,
    },
    mirror: { enabled: true, blobs: 200, blobsPerClient: 100 },
    pull: { byDigest: false, skipUnchanged: false, freshnessMs: 9_000 },
    check: { intervalMs: 21_600_000 },
    admission: { enabled: true, budgetMs: 2_000, onFailure: 'reject' },
    onResolveError: 'reject',
  })
})

test('a runtime that the file does not name is found by its socket', () => {
  const { config } = loadText('', ['/run/crio/crio.sock', '/run/cri-dockerd.sock'])

  assert.equal(config.cri, '/run/crio/crio.sock')
})

test('a runtime that the file names is taken, whether its socket is there or not', () => {
  const { config } = loadText('cri: /run/x.sock\n', ['/run/crio/crio.sock'])

  assert.equal(config.cri, '/run/x.sock')
})

test('registries are asked by priority, then the offline one, then by name', () => {
  const { config } = loadText(`
address: http://z.hub:5000
offlinePriority: 500
registries:
  - {address: b.corp}
  - {address: last.corp, priority: 0}
  - {address: a.corp}
  - {address: first.corp, priority: 501}
`)

  assert.deepEqual(
    config.registries.map(({ name }) => name),
    ['first.corp', 'z.hub:5000', 'a.corp', 'b.corp', 'last.corp'],
  )
})

for (const words of ['yes', 'on', 'y', 'True', 'TRUE']) {
  test(`${words}, which YAML 1.1 takes for true, is true`, () => {
    assert.equal(loadText(`force: ${words}\n`).config.force, true)
  })
}

for (const words of ['no', 'off', 'n', 'False']) {
  test(`${words}, which YAML 1.1 takes for false, is false`, () => {
    assert.equal(loadText(`cache: {disableStats: ${words}}\n`).config.cache.disableStats, false)
  })
}

test('text that looks like a number is text where text is meant', () => {
  const { config } = loadText('address: hub.corp\nauth: 0123:0456\nhttp: {listen: "127.0.0.1:0"}\n')

  assert.deepEqual(config.registries[0]?.credentials, {
    kind: 'basic',
    username: '0123',
    password: '0456',
  })
})

test('a value of 0 turns off what can be off, and is the default where it cannot', () => {
  const { config, warnings } = loadText(`
offlinePriority: 0
address: hub.corp
timeout: 0
reloadInterval: 0
probeBudget: 0
cache:
  imageCacheSize: 0
  imageCacheTTL: 0
  domainCacheTTL: 0s
  statsLogInterval: 0
  tagTTL: 0
  negativeTTL: 0
  staleIfError: 0
keychain: {helperTimeout: 0}
`)

  assert.deepEqual(warnings, [])
  assert.equal(config.registries[0]?.priority, 1000)
  assert.equal(config.timeoutMs, 900_000)
  assert.equal(config.reloadIntervalMs, 0)
  assert.equal(config.probeBudgetMs, 2_000)
  assert.equal(config.keychain.helperTimeoutMs, 10_000)
  assert.deepEqual(config.cache, {
    imageCacheSize: 0,
    imageCacheTTLMs: 0,
    domainCacheTTLMs: 0,
    tagTTLMs: 0,
    statsLogIntervalMs: 0,
    disableStats: false,
    negativeTTLMs: 0,
    staleIfErrorMs: 0,
    shared: undefined,
  })
})

test('what is accepted but not as written is a warning with its line', () => {
  const { config, warnings } = loadText(`address: hub.corp
offlinePriority: -3
cache: {imageCacheSize: -1}
registry.d: /etc/image-cri-shim.d
sync: 10
http: {listen: "0.0.0.0:9430", token: x}
registries:
- {address: quay.io, priority: 10001}
`)

  assert.deepEqual(warnings, [
    'registry.d (line 4): not read any more, by image-cri-shim either: move the entries of its files under registries',
    'sync (line 5): not read any more, by image-cri-shim either: the file is read again every reloadInterval',
    'cache.imageCacheSize (line 3): -1 is below 0; the cache is off',
    'registries[0].priority (line 8): 10001 is outside 0 to 10000; 10000 is used',
    'offlinePriority (line 2): -3 is outside 1 to 10000; 1 is used',
    'http.listen (line 6): the token crosses the network in the clear: set http.tls',
  ])
  assert.equal(config.cache.imageCacheSize, 0)
  assert.deepEqual(
    config.registries.map(({ priority }) => priority),
    [10_000, 1],
  )
})

test('auth without the address that it belongs to is a warning', () => {
  const { warnings } = loadText('auth: admin:pw\n')

  assert.deepEqual(warnings, [
    'auth (line 1): not used: it belongs to the top-level address, and there is none',
  ])
})

test('the same address twice is one registry: the last entry, and before any entry the top-level address', () => {
  const { config, warnings } = loadText(`address: http://hub.corp:5000
registries:
- {address: quay.io, auth: old:pw}
- {address: "hub.corp:5000", priority: 9}
- {address: "https://quay.io/", auth: new:pw}
- {address: docker.io}
- {address: index.docker.io}
`)

  assert.deepEqual(
    config.registries.map(({ name }) => name),
    ['hub.corp:5000', 'index.docker.io', 'quay.io'],
  )
  assert.deepEqual(config.registries[2]?.credentials, {
    kind: 'basic',
    username: 'new',
    password: 'pw',
  })
  assert.deepEqual(warnings, [
    'registries[0] (line 3): left out: registries[2] serves the same at the same address, and the last one counts',
    'registries[3] (line 6): left out: registries[4] serves the same at the same address, and the last one counts',
    'registries[1] (line 4): left out: the top-level address names the same registry',
  ])
})

test('the top-level address has TLS settings of its own', () => {
  const { config, warnings } = loadText(`
address: hub.corp:5000
ca: /etc/ca.pem
cert: /etc/cert.pem
key: /etc/key.pem
insecureSkipVerify: yes
`)
  const plain = loadText('address: hub.corp:5000\nplainHttp: true\ninsecureSkipVerify: true\n')

  assert.deepEqual(config.registries[0]?.endpoint, {
    scheme: 'https',
    host: 'hub.corp:5000',
    prefix: '',
    tls: {
      caFiles: ['/etc/ca.pem'],
      certFile: '/etc/cert.pem',
      keyFile: '/etc/key.pem',
      insecureSkipVerify: true,
    },
  })
  assert.deepEqual(warnings, [])
  assert.equal(plain.config.registries[0]?.endpoint.scheme, 'http')
  assert.deepEqual(plain.warnings, [
    'insecureSkipVerify (line 3): not used: this registry is asked over http',
  ])
  assert.equal(problemsIn('address: a.b\ncert: /c\n')[0]?.message, 'needs key beside it')
  assert.match(
    loadText('ca: /etc/ca.pem\n').warnings[0] ?? '',
    /^ca \(line 1\): not used: it belongs to the top-level address/,
  )
})

test('configMap asks for the one of image-cri-shim, or names another', () => {
  const usual = { name: 'kube-system/image-cri-shim', key: 'registries.yaml' }

  assert.deepEqual(loadText('configMap: {}\n').config.configMap, {
    ...usual,
    kubeconfig: undefined,
  })
  assert.deepEqual(
    loadText('configMap: {name: a/b.c, key: x.yaml, kubeconfig: /k}\n').config.configMap,
    { name: 'a/b.c', key: 'x.yaml', kubeconfig: '/k' },
  )
  for (const wrong of ['name: image-cri-shim', 'name: a/../b', 'key: a/b', 'kubeconfig: k']) {
    assert.equal(problemsIn(`configMap: {${wrong}}\n`).length, 1, wrong)
  }
})

test('a registry that a ConfigMap has asked without protection gets nothing of the keychain', async (t) => {
  const file = 'registries:\n- address: http://known.corp\n- address: https://other.corp\n'
  const shared = `registries:
- address: http://known.corp
- address: http://other.corp
- address: http://registry-1.docker.io
- address: https://safe.corp
- {address: https://any.corp, insecureSkipVerify: true}
- address: http://127.0.0.1:5000
sealos: {address: "http://sealos.hub:5000"}
`
  const data = { 'registries.yaml': shared }
  const { config } = await loadConfig({
    file: '/etc/x.yaml',
    read: async () => `image: ${temporaryFolder(t)}\nconfigMap: {}\n${file}`,
    configMaps: new ConfigMapReader({ get: async () => ({ kind: 'ConfigMap', data }) }),
    env: {},
  })

  assert.deepEqual(
    config.registries
      .filter(({ ownSecretsOnly }) => ownSecretsOnly === true)
      .map(({ name }) => name)
      .sort(),
    ['any.corp', 'other.corp', 'registry-1.docker.io', 'sealos.hub:5000'],
  )
})

test('which line to write is said of private addresses without a scheme', () => {
  const { notes } = loadText(`
address: sealos.hub:5000
registries:
  - address: registry.corp
  - address: https://a.corp
  - {address: b.corp, plainHttp: false}
  - address: localhost:5000
  - address: quay.io
`)

  assert.deepEqual(notes, [
    'registries[0].address (line 4): asked over https, since it has no scheme; if it is plain http, write http://registry.corp',
    'address (line 2): asked over https, since it has no scheme; if it is plain http, write http://sealos.hub:5000',
  ])
})

test('merge keys share what entries have in common', () => {
  const { config } = loadText(`
registries:
  - &common {address: a.corp, priority: 700, upstreams: [docker.io]}
  - <<: *common
    address: b.corp
`)

  assert.deepEqual(
    config.registries.map(({ name, priority, upstreams }) => [name, priority, upstreams]),
    [
      ['a.corp', 700, ['docker.io']],
      ['b.corp', 700, ['docker.io']],
    ],
  )
})

test('a well-known public mirror serves the registry that it is a mirror of', async () => {
  const { config } = await loadText(`
address: https://docker.m.daocloud.io
registries:
  - address: ghcr.nju.edu.cn
  - address: k8s.m.daocloud.io
    upstreams: [registry.k8s.io, k8s.gcr.io]
  - address: registry.cn-hangzhou.aliyuncs.com
  - address: hub.corp
`)

  assert.deepEqual(
    config.registries.map(({ name, upstreams }) => [name, upstreams]),
    [
      ['docker.m.daocloud.io', ['docker.io']],
      ['ghcr.nju.edu.cn', ['ghcr.io']],
      ['hub.corp', undefined],
      ['k8s.m.daocloud.io', ['registry.k8s.io', 'k8s.gcr.io']],
      ['registry.cn-hangzhou.aliyuncs.com', undefined],
    ],
  )
})

test('every name of Docker Hub, with the path of its API, is one registry', async () => {
  const { config } = await loadText(`
registries:
  - address: https://index.docker.io/v1/
    auth: first:pw
  - address: hub.docker.com
    auth: last:pw
`)

  assert.deepEqual(
    config.registries.map(({ credentials }) => credentials),
    [{ kind: 'basic', username: 'last', password: 'pw' }],
  )
})

test('all mistakes of a file are reported at once, in the order of its lines', () => {
  const problems = problemsIn(`force: maybe
shim: run/x.sock
timeout: 30
registries:
- adress: quay.io
- address: hub.corp
  auth: nocolon
  priority: high
  upstreams: ["*"]
force: true
cache: [1]
version: v2
`)

  assert.deepEqual(
    problems.map(({ line, path }) => `${line} ${path}`),
    [
      '1 force',
      '2 shim',
      '3 timeout',
      '5 registries[0].adress',
      '5 registries[0].address',
      '7 registries[1].auth',
      '8 registries[1].priority',
      '9 registries[1].upstreams[0]',
      '10 force',
      '11 cache',
      '12 version',
    ],
  )
})

const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  ['adress: x\n', 'adress', /^unknown field; did you mean address\?$/],
  ['registries: [{adress: x, address: y.z}]\n', 'registries[0].adress', /did you mean address\?/],
  ['imageCacheTTL: 3m\n', 'imageCacheTTL', /did you mean cache\.imageCacheTTL\?/],
  ['listen: x\n', 'listen', /did you mean http\.listen\?/],
  ['http: {debug: true}\n', 'http.debug', /did you mean debug at the top level\?/],
  [
    'http: {zzzzzz: 1}\n',
    'http.zzzzzz',
    /^unknown field; the fields here are listen, token, tokenFile, tls, rateLimit, events$/,
  ],
  ['"a\\nb": 1\n', '"a\\nb"', /unknown field/],
  ['__proto__: 1\n', '__proto__', /unknown field/],
  ['force: "true"\n', 'force', /^expected true or false, got the text "true"$/],
  ['force: 1\n', 'force', /^expected true or false, got "1"$/],
  ['offlinePriority: 1.5\n', 'offlinePriority', /^expected a whole number, got "1.5"$/],
  ['cache: {imageCacheSize: 1000001}\n', 'cache.imageCacheSize', /a whole number up to 1000000/],
  ['version: v2\n', 'version', /^expected v1 or v1alpha2, got "v2"$/],
  ['onResolveError: fail\n', 'onResolveError', /^expected passthrough or reject, got "fail"$/],
  ['registries: {address: x}\n', 'registries', /^expected a list, got fields$/],
  [
    'registries: ["http://u:pw@hub.corp"]\n',
    'registries[0]',
    /^expected fields with values, got text;/,
  ],
  ['auth: {user: x}\n', 'auth', /^expected text, got fields$/],
  ['- a\n', '', /^expected fields with values, got a list$/],
  ['just text\n', '', /^expected fields with values, got text;/],
  ['image: state\n', 'image', /is not an absolute path/],
  ['http: {listen: "9430"}\n', 'http.listen', /is not host:port/],
  ['shim: /run/x.sock\ncri: unix:///var/run/x.sock\n', 'cri', /the same socket as shim/],
  ['timeout: 577h\n', 'timeout', /"577h" is outside 1ms to 576h/],
  ['timeout: 10us\n', 'timeout', /"10us" is outside 1ms/],
  ['probeBudget: 21s\n', 'probeBudget', /outside 10ms to 20s \(0 is allowed\)/],
  ['hedgeDelay: 5ms\n', 'hedgeDelay', /outside 10ms to 20s \(0 is allowed\)/],
  ['reloadInterval: 1ms\n', 'reloadInterval', /outside 100ms to 576h \(0 is allowed\)/],
  ['cache: {tagTTL: -1s}\n', 'cache.tagTTL', /is negative/],
  [
    'registries: [{address: a.b, upstreams: []}]\n',
    'registries[0].upstreams',
    /an empty list serves nothing/,
  ],
  ['verifyDigest: 1\n', 'verifyDigest', /^expected true or false/],
  ['mirror: true\n', 'mirror', /^expected fields with values, got text;/],
  ['mirror: {enabled: 1}\n', 'mirror.enabled', /^expected true or false/],
  ['mirror: {blobs: 0}\n', 'mirror.blobs', /^expected a whole number from 1 to 256, got "0"$/],
  [
    'mirror: {blobsPerClient: -1}\n',
    'mirror.blobsPerClient',
    /^expected a whole number from 1 to 256, got "-1"$/,
  ],
  ['pull: {byDigest: 1}\n', 'pull.byDigest', /^expected true or false/],
  ['pull: {skipUnchanged: 1}\n', 'pull.skipUnchanged', /^expected true or false/],
  ['admission: {budget: 1m}\n', 'admission.budget', /is outside 10ms to 25s/],
  ['check: {interval: 10s}\n', 'check.interval', /is outside 1m to 576h/],
  ['mirrorsOnly: docker.io\n', 'mirrorsOnly', /^expected a list, got text$/],
  ['mirrorsOnly: [docker.io, "*"]\n', 'mirrorsOnly[1]', /write a domain as references do/],
  ['realms: [https://auth.corp]\n', 'realms[0]', /without scheme and path/],
  ['hostsDir: certs.d\n', 'hostsDir', /is not an absolute path/],
  ['portoshim: ./portoshim.yaml\n', 'portoshim', /is not an absolute path/],
  ['cache: {negativeTTL: 5}\n', 'cache.negativeTTL', /has no unit/],
  ['cache: {staleIfError: 9000h}\n', 'cache.staleIfError', /is outside 1ms to 8760h/],
  ['registries: [{address: a.b, capabilities: []}]\n', 'registries[0].capabilities', /empty list/],
  [
    'registries: [{address: a.b, capabilities: [push]}]\n',
    'registries[0].capabilities[0]',
    /^expected resolve or pull, got "push"$/,
  ],
  ['registries: [{address: a.b, trusted: 0}]\n', 'registries[0].trusted', /true or false/],
  ['registries: [{address: a.b, path: x}]\n', 'registries[0].path', /has no \{path\}/],
  ['address: http://u:hunter2@hub.corp\n', 'address', /holds credentials/],
  [`registries: [${'{address: a.b},'.repeat(257)}]\n`, 'registries', /257 entries, at most 256/],
]

for (const [text, path, message] of MISTAKES) {
  test(`${JSON.stringify(text.slice(0, 50))} is one mistake, reported at its field`, () => {
    const problems = problemsIn(text)

    assert.deepEqual(
      problems.map((problem) => problem.path),
      [path],
    )
    assert.match(problems[0]?.message ?? '', message)
    assert.doesNotMatch(problems[0]?.message ?? '', /hunter2/)
  })
}

for (const text of [
  'address: https://hub.corp/?token=hunter2\n',
  'registries: [{address: hub.corp/?token=hunter2}]\n',
  'registries: [{address: a.b, upstreams: ["https://quay.io/?token=hunter2"]}]\n',
  'mirrorsOnly: ["quay.io?hunter2"]\n',
  'realms: ["https://auth.corp/token?key=hunter2"]\n',
  'http: {listen: "http://localhost:1/?token=hunter2"}\n',
  'http: {listen: "localhost:1/#hunter2"}\n',
  'proxy: {https: "http://proxy.corp/?hunter2"}\n',
  'registries: [{address: a.b, path: "x?hunter2"}]\n',
  'address: https://hub.corp/?token=hunter2: x\n',
  'address: https://hub.corp/?token=hunter2\naddress: https://hub.corp/?token=hunter2\n',
]) {
  test(`a secret in a query is repeated nowhere: ${text.replaceAll('hunter2', 'SECRET').trim()}`, () => {
    const problems = problemsIn(text)

    assert.ok(problems.length > 0)
    assert.doesNotMatch(JSON.stringify(problems), /hunter2/)
  })
}

test('mistakes are an error with the code CONFIG_INVALID whose message has every line', () => {
  assert.throws(
    () => loadText('adress: x\ntimeout: 30\n'),
    (thrown) =>
      thrown instanceof ConfigError &&
      thrown.code === 'CONFIG_INVALID' &&
      thrown.file === '/etc/x.yaml' &&
      thrown.message ===
        'the configuration is not usable:\n' +
          '/etc/x.yaml:1: adress: unknown field; did you mean address?\n' +
          '/etc/x.yaml:2: timeout: "30" has no unit; write 30s, 30m or 30h',
  )
})

test('a file of nothing but mistakes is reported in a hundred lines', () => {
  const text = Array.from({ length: 5000 }, (_, index) => `field${index}: 1`).join('\n')

  const problems = problemsIn(text)

  assert.equal(problems.length, 100)
  assert.equal(problems[98]?.path, 'field98')
  assert.deepEqual(problems[99], {
    line: 0,
    path: '',
    message: 'and 4901 more problems after these',
  })
})

test('one entry that is not usable does not hide the mistakes of another', () => {
  const problems = problemsIn('registries:\n- 1\n- {address: a.b, auth: x}\n')

  assert.deepEqual(
    problems.map(({ path }) => path),
    ['registries[0]', 'registries[1].auth'],
  )
})

test('a password that is not usable is never repeated', () => {
  const [problem] = problemsIn('address: hub.corp\nauth: hunter2\n')

  assert.equal(problem?.path, 'auth')
  assert.doesNotMatch(problem?.message ?? '', /hunter2/)
})

test('a number in the place of an address is a mistake, with its line and what to write', () => {
  const problems = problemsIn('timeout: 5m\naddress: 5\nregistries:\n  - address: true\n')

  assert.deepEqual(
    problems.map(({ path, line }) => `${path} ${line}`),
    ['address 2', 'registries[0].address 4'],
  )
  for (const { message } of problems) {
    assert.match(message, /write the host, or all four parts of its address/)
  }
})
