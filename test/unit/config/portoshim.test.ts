import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../src/config/diagnostics.ts'
import { type Portoshim, parsePortoshim } from '../../../src/config/sources/portoshim.ts'
import { parseReference } from '../../../src/reference/reference.ts'
import { ConfiguredRegistries } from '../../../src/registry/registries.ts'

const WHOLE = `
Portoshim:
    ConfigPath: /etc/portoshim.yaml
    Socket:     /run/portoshim.sock
Porto:
    RuntimeName: porto
    SocketTimeout: 5m
CNI:
    NetType: "netns"
StreamingServer:
    Address: "[::]"
    Port:    7255
Images:
    PauseImage: registry.k8s.io/pause:3.7
    Place: /place
    Registries:
      - Host: registry-1.docker.io
        AuthToken: file:/etc/portoshim/hub.token
      - Host: hub.corp:5000
        AuthToken: abc.def-123
        AuthPath: https://auth.corp/token
        AuthService: hub
      - Host: quay.io
`

/** `Images.Registries` with these entries, each in the braces of YAML. */
function registries(...entries: readonly string[]): Portoshim {
  return parsePortoshim(
    `Images:\n  Registries:\n${entries.map((one) => `  - {${one}}\n`).join('')}`,
  )
}

function problemsIn(text: string): readonly string[] {
  try {
    parsePortoshim(text, '/etc/portoshim.yaml')
    return []
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    return thrown.message.split('\n').slice(1)
  }
}

test('an existing file is read as it is, each registry for its own domain', () => {
  const result = parsePortoshim(WHOLE)

  assert.deepEqual(result, {
    entries: [
      {
        name: 'registry-1.docker.io',
        endpoint: { scheme: 'https', host: 'registry-1.docker.io', prefix: '' },
        priority: 0,
        offline: false,
        upstreams: ['docker.io'],
        credentialFiles: { tokenFile: '/etc/portoshim/hub.token', tokenKind: 'registryToken' },
      },
      {
        name: 'hub.corp:5000',
        endpoint: { scheme: 'https', host: 'hub.corp:5000', prefix: '' },
        priority: 0,
        offline: false,
        upstreams: ['hub.corp:5000'],
        credentials: { kind: 'registryToken', token: 'abc.def-123' },
      },
      {
        name: 'quay.io',
        endpoint: { scheme: 'https', host: 'quay.io', prefix: '' },
        priority: 0,
        offline: false,
        upstreams: ['quay.io'],
      },
    ],
    pauseImage: 'registry.k8s.io/pause:3.7',
    warnings: [
      'Images.Registries[1].AuthPath (line 21): not used: the registry itself names its token service',
    ],
  })
})

for (const image of [
  'nginx',
  'library/nginx',
  'docker.io/library/nginx',
  'index.docker.io/nginx',
]) {
  test(`the credentials of registry-1.docker.io are there for ${image}`, () => {
    const { entries } = parsePortoshim(WHOLE)

    const serving = new ConfiguredRegistries(entries, 1).serving(parseReference(image))

    assert.deepEqual(
      serving.map(({ name }) => name),
      ['registry-1.docker.io'],
    )
  })
}

test('no registry is asked for the images of another one', () => {
  const { entries } = parsePortoshim(WHOLE)

  const serving = new ConfiguredRegistries(entries, 1).serving(parseReference('ghcr.io/team/app'))

  assert.deepEqual(serving, [])
})

for (const text of ['', '# nothing\n', 'Porto: {}\n', 'Images:\n', 'Images: {Registries: }\n']) {
  test(`${JSON.stringify(text)} says nothing of registries`, () => {
    assert.deepEqual(parsePortoshim(text), { entries: [], pauseImage: undefined, warnings: [] })
  })
}

const TOKENS = [
  ['abc', { kind: 'registryToken', token: 'abc' }],
  ['12345', { kind: 'registryToken', token: '12345' }],
  ['Bearer abc', { kind: 'registryToken', token: 'abc' }],
  ['basic dTpwOnE=', { kind: 'basic', username: 'u', password: 'p:q' }],
] as const

for (const [token, credentials] of TOKENS) {
  test(`the token ${token} is sent as ${JSON.stringify(credentials)}`, () => {
    const { entries } = registries(`Host: hub.corp, AuthToken: ${token}`)

    assert.deepEqual(entries[0]?.credentials, credentials)
  })
}

test('an empty token is none', () => {
  const { entries } = registries('Host: hub.corp, AuthToken: "", AuthPath: ~')

  assert.equal(entries[0]?.credentials, undefined)
  assert.equal(entries[0]?.credentialFiles, undefined)
})

test('user and password in AuthPath are used, but not instead of a token', () => {
  const { entries, warnings } = registries(
    'Host: a.corp, AuthPath: "https://robot:s%40cret@auth.corp/token"',
    'Host: b.corp, AuthPath: "robot:50%@auth.corp/token", AuthToken: abc',
  )

  assert.deepEqual(
    entries.map(({ credentials }) => credentials),
    [
      { kind: 'basic', username: 'robot', password: 's@cret' },
      { kind: 'registryToken', token: 'abc' },
    ],
  )
  assert.deepEqual(warnings, [
    'Images.Registries[0].AuthPath (line 3): only the user and password in it are used: the registry itself names its token service',
    'Images.Registries[1].AuthPath (line 4): not used: the registry itself names its token service',
  ])
})

test('every host is asked over https, on loopback too, as Porto does', () => {
  const { entries } = registries('Host: localhost:5000', 'Host: http://plain.corp:5000')

  assert.deepEqual(
    entries.map(({ endpoint }) => `${endpoint.scheme}://${endpoint.host}`),
    ['https://localhost:5000', 'http://plain.corp:5000'],
  )
})

test('of one host written twice the last counts, also by another name of Docker Hub', () => {
  const { entries, warnings } = registries(
    'Host: docker.io, AuthToken: old',
    'Host: registry-1.docker.io, AuthToken: new',
  )

  assert.deepEqual(
    entries.map(({ credentials }) => credentials),
    [{ kind: 'registryToken', token: 'new' }],
  )
  assert.deepEqual(warnings, [
    'Images.Registries[0] (line 3): left out: Images.Registries[1] has the same host, and the last one counts',
  ])
})

const MISTAKES = [
  [
    'Images: 5',
    '1: Images: expected fields with values, got text; write `name: value`, with a space after the colon',
  ],
  ['Images: {Registries: 5}', '1: Images.Registries: expected a list, got text'],
  [
    'Images: {Registries: [5]}',
    '1: Images.Registries[0]: expected fields with values, got text; write `name: value`, with a space after the colon',
  ],
  [
    'Images:\n  Registries:\n  - AuthToken: secret',
    '3: Images.Registries[0].Host: required, and not there',
  ],
  [
    'Images: {Registries: [{Host: "a b"}]}',
    '1: Images.Registries[0].Host: registry address "https://a b" has a host that cannot be: write it as host or host:port, the port between 1 and 65535',
  ],
  [
    'Images: {Registries: [{Host: a.io, AuthToken: [secret]}]}',
    '1: Images.Registries[0].AuthToken: expected text, got a list',
  ],
  [
    'Images: {Registries: [{Host: a.io, AuthToken: OAuth secret}]}',
    '1: Images.Registries[0].AuthToken: not a token: write it alone, or after `Bearer `, or `file:` and a path',
  ],
  [
    'Images: {Registries: [{Host: a.io, AuthToken: Basic c2VjcmV0}]}',
    '1: Images.Registries[0].AuthToken: `auth` is not user:password: write both, with a colon',
  ],
  [
    'Images: {Registries: [{Host: a.io, AuthToken: "file:./hub.token"}]}',
    '1: Images.Registries[0].AuthToken: "./hub.token" is not an absolute path; start it with /',
  ],
  [
    'Images: {Registries: [{Host: a.io, AuthToken: "file:c2VjcmV0"}]}',
    '1: Images.Registries[0].AuthToken: looks like the secret itself; write the path of a file that holds it, which begins with /',
  ],
  [
    'just text',
    '1: expected fields with values, got text; write `name: value`, with a space after the colon',
  ],
] as const

for (const [text, message] of MISTAKES) {
  test(`${JSON.stringify(text)} is refused, with its place and without a secret`, () => {
    const problems = problemsIn(text)

    assert.equal(problems.length, 1)
    assert.equal(problems[0], `/etc/portoshim.yaml:${message}`)
    assert.doesNotMatch(problems[0] ?? '', /secret(?! itself)|c2VjcmV0/)
  })
}

test('a pause image that is no reference is refused', () => {
  assert.match(
    problemsIn('Images: {PauseImage: "pause:3.7:1"}').join(),
    /^\/etc\/portoshim.yaml:1: Images.PauseImage: /,
  )
})

test('the rest of that file is not checked', () => {
  const text = 'Porto: {Socket: a, Socket: b, X: !!int 5}\nImages: {PauseImage: pause}\n'

  assert.deepEqual(parsePortoshim(text).pauseImage, 'pause')
})

test('what is no YAML is refused by its line', () => {
  assert.match(problemsIn('Images: [\n').join(), /^\/etc\/portoshim.yaml:\d+:\d+: not valid YAML: /)
})
