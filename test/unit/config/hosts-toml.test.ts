import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { HostsFiles } from '../../../src/config/sources/hosts-dir.ts'
import { type HostsDir, readHostsDir } from '../../../src/config/sources/hosts-dir.ts'
import { parseReference } from '../../../src/reference/reference.ts'
import { ConfiguredRegistries } from '../../../src/registry/registries.ts'
import { candidatesFor } from '../../../src/resolver/candidates.ts'
import { temporaryFolder } from '../../support/stack.ts'

const DIR = '/etc/containerd/certs.d'

/** A folder in memory; `docker.io/` is an empty one. */
function folder(texts: Readonly<Record<string, string>>): HostsFiles {
  const paths = Object.keys(texts).map((path) => `${DIR}/${path}`)
  return {
    list: async (path) => {
      const inside = paths.filter((each) => each.startsWith(`${path}/`))
      if (inside.length === 0 && path !== DIR) return undefined
      const names = inside.map((each) => each.slice(path.length + 1).split('/')[0] ?? '')
      return [...new Set(names)].filter((name) => name !== '')
    },
    read: async (path) => texts[path.slice(DIR.length + 1)],
  }
}

function read(texts: Readonly<Record<string, string>>): Promise<HostsDir> {
  return readHostsDir(DIR, folder(texts))
}

/** What docker.io's hosts.toml alone leads to. */
function readDockerHub(...lines: readonly string[]): Promise<HostsDir> {
  return read({ 'docker.io/hosts.toml': lines.join('\n') })
}

function names({ entries }: HostsDir): readonly string[] {
  return entries.map(({ name }) => name)
}

/** Who is asked for an image, in this order; the last one is the origin. */
function asked({ entries, mirrorsOnly }: HostsDir, image: string): readonly string[] {
  const registries = new ConfiguredRegistries(entries, 1, mirrorsOnly)
  return registries.serving(parseReference(image)).map(({ name }) => name)
}

test('mirrors of Docker Hub come in the order of their file, and its registry needs no entry', async () => {
  const result = await readDockerHub(
    'server = "https://registry-1.docker.io"',
    '[host."https://public.example.com"]',
    '  capabilities = ["pull"]',
    '[host."https://cache.corp"]',
    '  capabilities = ["pull", "resolve"]',
    '[host."https://another.corp:5000"]',
  )

  assert.deepEqual(result, {
    entries: [
      {
        name: 'public.example.com',
        endpoint: { scheme: 'https', host: 'public.example.com', prefix: '' },
        priority: 499,
        offline: false,
        upstreams: ['docker.io'],
        capabilities: ['pull'],
      },
      {
        name: 'cache.corp',
        endpoint: { scheme: 'https', host: 'cache.corp', prefix: '' },
        priority: 498,
        offline: false,
        upstreams: ['docker.io'],
      },
      {
        name: 'another.corp:5000',
        endpoint: { scheme: 'https', host: 'another.corp:5000', prefix: '' },
        priority: 497,
        offline: false,
        upstreams: ['docker.io'],
      },
    ],
    mirrorsOnly: [],
    warnings: [],
    broken: [],
  })
})

test('without a server the registry of the folder is asked in the end', async () => {
  const result = await read({ 'quay.io/hosts.toml': '[host."https://cache.corp"]' })

  assert.deepEqual(names(result), ['cache.corp'])
  assert.deepEqual(result.mirrorsOnly, [])
})

test('another server stands in for the registry that images are named after', async () => {
  const result = await readDockerHub(
    'server = "https://hub.corp"',
    '[host."https://cache.corp"]',
    'capabilities = ["pull"]',
  )

  assert.deepEqual(asked(result, 'nginx'), ['cache.corp', 'hub.corp'])
  assert.deepEqual(result.mirrorsOnly, ['docker.io'])
})

for (const server of [
  'https://docker.io',
  'https://index.docker.io/',
  'registry-1.docker.io',
  'https://registry-1.docker.io:443/v2/',
]) {
  test(`${server} is Docker Hub itself`, async () => {
    const result = await readDockerHub(`server = "${server}"`)

    assert.deepEqual(result, { entries: [], mirrorsOnly: [], warnings: [], broken: [] })
  })
}

test('a private registry whose server is named is a configured one', async () => {
  const result = await read({ 'hub.corp_5000_/hosts.toml': 'server = "http://hub.corp:5000"' })

  assert.deepEqual(result.entries, [
    {
      name: 'hub.corp:5000',
      endpoint: { scheme: 'http', host: 'hub.corp:5000', prefix: '' },
      priority: 499,
      offline: false,
      upstreams: ['hub.corp:5000'],
    },
  ])
  assert.deepEqual(result.mirrorsOnly, [])
})

test('certificates beside an absent server are those of the registry itself', async () => {
  const result = await read({
    'localhost:5000/hosts.toml': 'ca = ["a.crt", "/etc/b.crt"]\nclient = [["c.cert", "c.key"]]',
  })

  assert.deepEqual(result.entries[0]?.endpoint, {
    scheme: 'https',
    host: 'localhost:5000',
    prefix: '',
    tls: {
      caFiles: [`${DIR}/localhost:5000/a.crt`, '/etc/b.crt'],
      certFile: `${DIR}/localhost:5000/c.cert`,
      keyFile: `${DIR}/localhost:5000/c.key`,
    },
  })
})

test('a folder with certificates alone, as Docker has them, holds those of its registry', async () => {
  const result = await read({
    'hub.corp/ca.crt': '',
    'hub.corp/client.cert': '',
    'hub.corp/client.key': '',
    'hub.corp/readme.txt': '',
    'lone.corp/client.cert': '',
  })

  assert.deepEqual(
    result.entries.map(({ endpoint }) => [endpoint.host, endpoint.tls]),
    [
      [
        'hub.corp',
        {
          caFiles: [`${DIR}/hub.corp/ca.crt`],
          certFile: `${DIR}/hub.corp/client.cert`,
          keyFile: `${DIR}/hub.corp/client.key`,
        },
      ],
      [
        'lone.corp',
        {
          certFile: `${DIR}/lone.corp/client.cert`,
          keyFile: `${DIR}/lone.corp/client.cert`,
        },
      ],
    ],
  )
})

const CLIENTS = [
  ['"own.pem"', 'own.pem', 'own.pem', false],
  ['["own.pem"]', 'own.pem', 'own.pem', false],
  ['["one.pem", "two.pem"]', 'one.pem', 'one.pem', true],
  ['[["own.pem", ""]]', 'own.pem', 'own.pem', false],
  ['[["own.cert", "own.key"], ["two.cert", "two.key"]]', 'own.cert', 'own.key', true],
] as const

for (const [written, cert, key, warns] of CLIENTS) {
  test(`client = ${written} means the certificate ${cert} with the key ${key}`, async () => {
    const result = await read({ 'hub.corp/hosts.toml': `client = ${written}` })

    assert.deepEqual(result.entries[0]?.endpoint.tls, {
      certFile: `${DIR}/hub.corp/${cert}`,
      keyFile: `${DIR}/hub.corp/${key}`,
    })
    assert.deepEqual(
      result.warnings,
      warns ? [`${DIR}/hub.corp/hosts.toml: client: only the first certificate is used`] : [],
    )
  })
}

test('headers go to their host, with lists joined', async () => {
  const result = await readDockerHub(
    '[host."https://cache.corp"]',
    '[host."https://cache.corp".header]',
    '  X-Team = "blue"',
    '  x-parts = ["one", "two"]',
  )

  assert.deepEqual(result.entries[0]?.endpoint.headers, { 'x-team': 'blue', 'x-parts': 'one, two' })
})

test('a host is there by its header alone, and http and https on one host are two registries', async () => {
  const result = await readDockerHub(
    '[host."https://m.corp".header]',
    '  x-only = "this"',
    '[host."http://m.corp"]',
    '  capabilities = ["pull"]',
    '[host."https://m.corp"]',
    '  skip_verify = false',
  )

  assert.deepEqual(
    result.entries.map(({ name, endpoint }) => [name, endpoint.scheme, endpoint.headers]),
    [
      ['m.corp', 'https', { 'x-only': 'this' }],
      ['m.corp#2', 'http', undefined],
    ],
  )
})

const PATHS = [
  ['https://m.corp', false, { prefix: '' }],
  ['https://m.corp/', false, { prefix: '' }],
  ['https://m.corp/v2', false, { prefix: '' }],
  ['https://m.corp/v2/', true, { prefix: '' }],
  ['https://m.corp/v2/proxy-docker', true, { prefix: 'proxy-docker' }],
  ['https://m.corp/v2/a//b/', true, { prefix: 'a/b' }],
  ['https://m.corp/us', false, { prefix: '', root: '/us/v2' }],
  ['https://m.corp/us/v2', false, { prefix: '', root: '/us/v2' }],
  ['https://m.corp/api', true, { prefix: '', root: '/api' }],
  ['https://m.corp/v2/Upper', true, { prefix: '', root: '/v2/Upper' }],
  ['https://m.corp', true, { prefix: '', root: '' }],
] as const

for (const [url, override, expected] of PATHS) {
  test(`${url}${override ? ', with override_path,' : ''} answers at ${JSON.stringify(expected)}`, async () => {
    const result = await readDockerHub(`[host."${url}"]`, `override_path = ${override}`)

    const [entry] = result.entries
    assert.deepEqual(entry?.endpoint, { scheme: 'https', host: 'm.corp', ...expected })
    // No image name leads a runtime to another root.
    assert.deepEqual(entry?.capabilities, 'root' in expected ? ['resolve'] : undefined)
  })
}

test('a host that no image name leads to, and that must not resolve, is left out', async () => {
  const result = await readDockerHub('[host."https://m.corp/us"]', 'capabilities = ["pull"]')

  assert.deepEqual(result.entries, [])
  assert.deepEqual(result.warnings, [
    `${DIR}/docker.io/hosts.toml: https://m.corp/us/v2: left out, since no image name leads to that path and it may not resolve`,
  ])
})

test('a host that is only pushed to is not asked', async () => {
  const result = await readDockerHub('[host."https://m.corp"]', 'capabilities = ["push"]')

  assert.deepEqual(result, { entries: [], mirrorsOnly: [], warnings: [], broken: [] })
})

test('an empty list of capabilities means all of them, in any case of letters', async () => {
  const result = await readDockerHub(
    '[host."https://a.corp"]',
    'capabilities = []',
    '[host."https://b.corp"]',
    'capabilities = ["Resolve", "push", "referrers"]',
  )

  assert.deepEqual(
    result.entries.map(({ capabilities }) => capabilities),
    [undefined, ['resolve']],
  )
})

test('Docker Hub as its own first host comes before the mirrors after it', async () => {
  const result = await readDockerHub(
    '[host."https://registry-1.docker.io"]',
    'capabilities = ["pull"]',
    '[host."https://cache.corp"]',
  )

  assert.deepEqual(asked(result, 'nginx'), ['registry-1.docker.io', 'cache.corp'])
  // The absent server, the same registry, may do everything.
  assert.equal(result.entries[0]?.capabilities, undefined)
})

test('a host that is the server, too, is asked once, for all that either may do', async () => {
  const result = await readDockerHub(
    'server = "https://hub.corp"',
    'capabilities = ["resolve"]',
    '[host."https://hub.corp"]',
    'capabilities = ["pull"]',
    'header = { x-first = "1" }',
  )

  assert.equal(result.entries.length, 1)
  assert.equal(result.entries[0]?.capabilities, undefined)
  assert.deepEqual(result.entries[0]?.endpoint.headers, { 'x-first': '1' })
})

test('_default serves every domain that has no folder, an empty one included', async () => {
  const result = await read({
    '_default/hosts.toml': '[host."https://all.corp"]',
    'docker.io/hosts.toml': '[host."https://cache.corp"]',
    'quay.io/': '',
  })

  assert.deepEqual(asked(result, 'ghcr.io/team/app'), ['all.corp'])
  assert.deepEqual(asked(result, 'nginx'), ['cache.corp'])
  assert.deepEqual(asked(result, 'quay.io/team/app'), [])
})

test('a mirror of several folders and of _default is one registry', async () => {
  const mirror = '[host."https://all.corp"]'
  const result = await read({
    '_default/hosts.toml': mirror,
    'docker.io/hosts.toml': mirror,
    'ghcr.io/hosts.toml': mirror,
    'quay.io/hosts.toml': '',
  })

  assert.deepEqual(names(result), ['all.corp'])
  assert.deepEqual(asked(result, 'nginx'), ['all.corp'])
  assert.deepEqual(asked(result, 'ghcr.io/team/app'), ['all.corp'])
  assert.deepEqual(asked(result, 'gcr.io/team/app'), ['all.corp'])
  assert.deepEqual(asked(result, 'quay.io/team/app'), [])
})

test('a mirror of _default still serves the domain of a folder that has an entry of its own', async () => {
  const result = await read({
    '_default/hosts.toml': '[host."https://all.corp"]',
    'hub.corp/hosts.toml': 'server = "https://hub.corp"\n[host."https://all.corp"]',
  })

  assert.deepEqual(asked(result, 'hub.corp/app'), ['all.corp', 'hub.corp'])
  assert.deepEqual(asked(result, 'nginx'), ['all.corp#2'])
})

test('a public registry in _default is not asked for names of other registries', async () => {
  const result = await read({ '_default/hosts.toml': '[host."https://quay.io"]' })

  assert.deepEqual(asked(result, 'hub.corp/secret/app'), [])
  assert.deepEqual(result.warnings, [
    `${DIR}: _default: quay.io is public, and is not asked for the names of other registries`,
  ])
})

test('every folder keeps its order where several share hosts', async () => {
  const result = await read({
    'docker.io/hosts.toml': '[host."https://c.corp"]\n[host."https://d.corp"]',
    'ghcr.io/hosts.toml': '[host."https://a.corp"]\n[host."https://c.corp"]',
    'quay.io/hosts.toml': '[host."https://d.corp"]\n[host."https://b.corp"]',
  })

  assert.deepEqual(names(result), ['a.corp', 'c.corp', 'd.corp', 'b.corp'])
  assert.deepEqual(result.warnings, [])
})

test('folders that contradict each other are reported, and the first one wins', async () => {
  const result = await read({
    'docker.io/hosts.toml': '[host."https://a.corp"]\n[host."https://b.corp"]',
    'quay.io/hosts.toml': '[host."https://b.corp"]\n[host."https://a.corp"]',
  })

  assert.deepEqual(names(result), ['a.corp', 'b.corp'])
  assert.deepEqual(result.warnings, [
    `${DIR}: quay.io: b.corp comes before a.corp here and after it in another folder; the other order is used`,
  ])
})

test('one host with other rights in another folder is another registry with a name of its own', async () => {
  const result = await read({
    'docker.io/hosts.toml': '[host."https://m.corp"]\ncapabilities = ["pull"]',
    'quay.io/hosts.toml': '[host."https://m.corp"]',
  })

  assert.deepEqual(
    result.entries.map(({ name, upstreams, capabilities }) => [name, upstreams, capabilities]),
    [
      ['m.corp', ['docker.io'], ['pull']],
      ['m.corp#2', ['quay.io'], undefined],
    ],
  )
})

test('host_5000_ goes before host:5000, as for containerd', async () => {
  const result = await read({
    'hub.corp:5000/hosts.toml': 'server = "http://old.corp"',
    'hub.corp_5000_/hosts.toml': 'server = "https://new.corp"',
  })

  assert.deepEqual(asked(result, 'hub.corp:5000/app'), ['new.corp'])
  assert.deepEqual(result.warnings, [
    `${DIR}/hub.corp:5000: left out, since ${DIR}/hub.corp_5000_ is for the same registry`,
  ])
})

test('folders that no image is named after are left out', async () => {
  const result = await read({
    'index.docker.io/hosts.toml': 'server = "https://hub.corp"',
    'Not a host/hosts.toml': '',
    'library/hosts.toml': '',
    'notes.txt': 'a file',
  })

  assert.deepEqual(result.entries, [])
  assert.deepEqual(result.warnings, [
    `${DIR}/Not a host: left out, since "Not a host" is not what images are named after`,
    `${DIR}/index.docker.io: left out, since "index.docker.io" is not what images are named after`,
    `${DIR}/library: left out, since "library" is not what images are named after`,
  ])
})

test('a host with settings of its own needs a folder for containerd, and that is reported once', async () => {
  const result = await read({
    'docker.io/hosts.toml': '[host."http://plain.corp:5000"]\nskip_verify = true',
    'quay.io/hosts.toml': '[host."http://plain.corp:5000"]\n[host."https://own.corp"]\nca = "x"',
    'own.corp/hosts.toml': 'server = "https://own.corp"\nca = "/x"',
    'gcr.io/hosts.toml': '[host."http://127.0.0.1:5000"]\n[host."https://usual.corp"]',
  })

  assert.deepEqual(result.warnings, [
    `${DIR}/docker.io/hosts.toml: containerd, too, needs a hosts.toml to reach plain.corp:5000: there is no ${DIR}/plain.corp:5000`,
  ])
})

const MISTAKES = [
  ['server = secret', 'line 1: not valid TOML: invalid value'],
  [
    '\nserver = "https://u:secret@hub.corp"',
    'server: a registry address holds credentials: move them to `auth`',
  ],
  ['server = 5', 'server: expected a URL'],
  [
    'server = "ftp://hub.corp"',
    'server: registry address "ftp://hub.corp" has the scheme ftp: write http:// or https://',
  ],
  ['host = "m.corp"', 'host: expected tables, [host."https://mirror.corp"]'],
  ['[host]\n"https://m.corp" = 1', 'host."https://m.corp": expected a table'],
  [
    '[host."https://m.corp?x=1"]',
    'host."https://m.corp?…": registry address "https://m.corp?…" has a query or fragment: leave it out',
  ],
  ['[host."https://m.corp/a b"]', 'host."https://m.corp/a b": has a path that no URL can have'],
  [
    '[host."https://m.corp"]\ncapabilities = ["pul"]',
    'host."https://m.corp".capabilities: "pul" is not pull, resolve or push',
  ],
  [
    '[host."https://m.corp"]\ncapabilities = "pull"',
    'host."https://m.corp".capabilities: expected a list',
  ],
  ['ca = 1', 'ca: expected text, or a list of it'],
  ['client = [["a", "b", "c"]]', 'client: expected a file, or pairs of a certificate and its key'],
  ['skip_verify = "yes"', 'skip_verify: expected true or false'],
  ['override_path = 1', 'override_path: expected true or false'],
  ['[header]\nx = "secret\\n"', 'header.x: has a value that no header can have'],
  ['[header]\n"a b" = "secret"', 'header."a b": not the name of a header'],
  ['[header]\nHost = "secret"', 'header.Host: cannot be set: it belongs to the connection'],
  ['header = "secret"', 'header: expected a table of headers'],
  [`ca = [${'"a",'.repeat(65)}]`, 'ca: more than 64 items'],
  [
    `[header]\n${Array.from({ length: 65 }, (_, index) => `x${index} = ""`).join('\n')}`,
    'header: more than 64 headers',
  ],
  [`server = "https://m.corp/${'a'.repeat(1000)}"`, 'server: longer than 1000 characters'],
  [
    Array.from({ length: 65 }, (_, index) => `[host."https://m${index}.corp"]`).join('\n'),
    'host: more than 64 hosts',
  ],
] as const

for (const [text, message] of MISTAKES) {
  test(`${JSON.stringify(text.slice(0, 80))} is left out alone, with one line that tells why`, async () => {
    const result = await read({
      'docker.io/hosts.toml': text,
      'quay.io/hosts.toml': '[host."https://m.corp"]',
    })

    assert.deepEqual(result.warnings, [`${DIR}/docker.io/hosts.toml: ${message}`])
    assert.deepEqual(asked(result, 'quay.io/app'), ['m.corp'])
    assert.deepEqual(asked(result, 'nginx'), [])
  })
}

test('a wrong hosts.toml leaves the certificates beside it in force', async () => {
  const result = await read({ 'hub.corp/hosts.toml': 'server =', 'hub.corp/ca.crt': '' })

  assert.deepEqual(result.entries[0]?.endpoint.tls, { caFiles: [`${DIR}/hub.corp/ca.crt`] })
  assert.equal(result.warnings.length, 1)
})

test('what is written and has no effect here is said', async () => {
  const result = await read({
    'docker.io/hosts.toml': [
      'capabilties = ["pull"]',
      'dial_timeout = "1s"',
      '[host."http://m.corp:80"]',
      'ca = "m.crt"',
    ].join('\n'),
    'm.corp:80/hosts.toml': '',
    '_default/hosts.toml': 'server = "https://all.corp"\n',
  })

  assert.deepEqual(result.warnings, [
    `${DIR}/docker.io/hosts.toml: capabilties: not read here`,
    `${DIR}/docker.io/hosts.toml: http://m.corp:80: its certificates are not used over http; write https:// if it has TLS`,
    `${DIR}/_default/hosts.toml: server: asked before the registries that images are named after, not instead of them`,
  ])
})

/** The places of an image by a hosts.toml for docker.io, as `host/repository`. */
async function placesOf(image: string, ...lines: readonly string[]): Promise<readonly string[]> {
  const { entries, mirrorsOnly } = await readDockerHub(...lines)
  const registries = new ConfiguredRegistries(entries, 1, mirrorsOnly)
  return candidatesFor(parseReference(image), registries, undefined).map(
    ({ endpoint, repository }) => `${endpoint.host}/${repository}`,
  )
}

test('a rewrite table, as k3s and rke2 write it, says where a host keeps an image', async () => {
  const lines = [
    'server = "https://registry-1.docker.io/v2"',
    'capabilities = ["pull", "resolve", "push"]',
    '[host."http://10.0.2.2:30080/v2"]',
    '  capabilities = ["pull", "resolve"]',
    '  [host."http://10.0.2.2:30080/v2".rewrite]',
    '    "^rancher/(.*)" = "oci-dockerhub-proxy/$1"',
  ]

  assert.deepEqual(await placesOf('rancher/pause:3.6', ...lines), [
    '10.0.2.2:30080/oci-dockerhub-proxy/pause',
    'registry-1.docker.io/rancher/pause',
  ])
  assert.deepEqual(await placesOf('nginx', ...lines), [
    '10.0.2.2:30080/library/nginx',
    'registry-1.docker.io/library/nginx',
  ])
})

test('a rewritten path stands below the prefix of its host', async () => {
  const places = await placesOf(
    'nginx',
    '[host."https://harbor.corp/v2/proxy"]',
    'override_path = true',
    '[host."https://harbor.corp/v2/proxy".rewrite]',
    '"^library/" = "hub/"',
  )

  assert.deepEqual(places, ['harbor.corp/proxy/hub/nginx', 'registry-1.docker.io/library/nginx'])
})

test('a host is not asked for an image whose rewritten path is the name of no repository', async () => {
  for (const rule of ['"^library/" = "Hub/"', '"^library/" = "/"', '"(.*)" = "$1x"', '".*" = ""']) {
    const places = await placesOf(
      'nginx',
      '[host."https://m.corp"]',
      '[host."https://m.corp".rewrite]',
      rule,
    )

    assert.deepEqual(places, ['registry-1.docker.io/library/nginx'], rule)
  }
})

test('the registry that an image is named after is asked for it by that name, whatever a rewrite says', async () => {
  const lines = ['[host."https://registry-1.docker.io".rewrite]', '"(.*)" = "evil/$1"']

  assert.deepEqual(await placesOf('nginx', ...lines), ['registry-1.docker.io/library/nginx'])
  const { warnings } = await readDockerHub(...lines)
  assert.deepEqual(warnings, [
    `${DIR}/docker.io/hosts.toml: rewrite: not used for the registry that images are named after`,
  ])
})

const UNSURE: readonly [line: string, message: RegExp][] = [
  ['[[host."https://m.corp".rewrite]]\nregex = "^a"\nreplace = "b"', /rewrite: expected a table/],
  ['[host."https://m.corp".rewrite]\n"(" = "b"', /not a Go regular expression/],
  ['[host."https://m.corp"]\nprefix = "proxy"', /prefix is not known here and may mean another/],
  ['[host."https://m.corp".auth]\nusername = "u"', /auth is not known here/],
]

for (const [line, message] of UNSURE) {
  test(`a host with ${JSON.stringify(line)} is left out, for it may keep another image there`, async () => {
    const lines = [line, '[host."https://other.corp"]']

    assert.deepEqual(await placesOf('nginx', ...lines), [
      'other.corp/library/nginx',
      'registry-1.docker.io/library/nginx',
    ])
    const { warnings } = await readDockerHub(...lines)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /host\."https:\/\/m\.corp": left out/)
    assert.match(warnings[0] ?? '', message)
  })
}

test('a server with a key that is not known is left out, and the registry itself asked in the end', async () => {
  const lines = ['server = "https://m.corp"', 'prefix = "proxy"', '[host."https://other.corp"]']

  assert.deepEqual(await placesOf('nginx', ...lines), [
    'other.corp/library/nginx',
    'registry-1.docker.io/library/nginx',
  ])
})

test('more hosts than can be are left out, and counted', async () => {
  const hosts = (from: number): string =>
    Array.from({ length: 64 }, (_, index) => `[host."https://m${from + index}.corp"]`).join('\n')
  const texts = [0, 64, 128, 192, 256].map((from) => [`d${from}.io/hosts.toml`, hosts(from)])

  const result = await read(Object.fromEntries(texts))

  assert.equal(result.entries.length, 256)
  assert.deepEqual(result.warnings, [`${DIR}: 64 hosts are left out: at most 256 are used`])
})

test('Docker Hub with a certificate of its own needs no folder but its own', async () => {
  const result = await readDockerHub('server = "https://registry-1.docker.io"', 'ca = "proxy.crt"')

  assert.deepEqual(names(result), ['registry-1.docker.io'])
  assert.deepEqual(result.warnings, [])
})

test('after a hundred warnings the rest is counted', async () => {
  const text = Array.from({ length: 130 }, (_, index) => `odd${index} = 1`).join('\n')

  const { warnings } = await readDockerHub(text)

  assert.equal(warnings.length, 101)
  assert.equal(warnings.at(-1), `${DIR}: and 30 more warnings after these`)
})

test('a folder that is not there has nothing to say, and that is said', async () => {
  const result = await readHostsDir('/nowhere/certs.d')

  assert.deepEqual(result, {
    entries: [],
    mirrorsOnly: [],
    warnings: ['/nowhere/certs.d: there is no such folder'],
    broken: ['/nowhere/certs.d: there is no such folder'],
  })
})

test('folders are read from the disk, through links too', async (t) => {
  const dir = temporaryFolder(t)
  await mkdir(join(dir, 'real'))
  await mkdir(join(dir, 'certs.d'))
  await writeFile(join(dir, 'real/hosts.toml'), '[host."https://m.corp"]')
  await writeFile(join(dir, 'certs.d/readme'), 'not a folder')
  await symlink(join(dir, 'real'), join(dir, 'certs.d/docker.io'))

  const result = await readHostsDir(join(dir, 'certs.d'))

  assert.deepEqual(asked(result, 'nginx'), ['m.corp'])
  assert.deepEqual(result.warnings, [])
})

test('what cannot be read is left out alone', async (t) => {
  const dir = temporaryFolder(t)
  await mkdir(join(dir, 'docker.io/hosts.toml'), { recursive: true })
  await mkdir(join(dir, 'quay.io'))
  await writeFile(join(dir, 'quay.io/hosts.toml'), Buffer.from([0xff, 0xfe]))
  await mkdir(join(dir, 'ghcr.io'))
  await writeFile(join(dir, 'ghcr.io/hosts.toml'), '[host."https://m.corp"]')

  const result = await readHostsDir(dir)

  assert.deepEqual(names(result), ['m.corp'])
  assert.deepEqual(result.warnings, [
    `${dir}/docker.io/hosts.toml: cannot be read: not a regular file`,
    `${dir}/quay.io/hosts.toml: not UTF-8 text`,
  ])
})

test('a secret in the query of a host is repeated in no warning', async () => {
  const { warnings } = await readDockerHub('[host."https://cache.corp/?token=hunter2"]')

  assert.equal(warnings.length, 1)
  assert.doesNotMatch(warnings.join(), /hunter2/)
})
