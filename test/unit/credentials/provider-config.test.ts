import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseProviderConfig } from '../../../src/credentials/kubelet.ts'
import { ResolveError } from '../../../src/errors.ts'

const HEAD = ['apiVersion: kubelet.config.k8s.io/v1', 'kind: CredentialProviderConfig']

const ECR = [
  '  - name: ecr-credential-provider',
  '    matchImages: ["*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn"]',
  '    defaultCacheDuration: "12h"',
  '    apiVersion: credentialprovider.kubelet.k8s.io/v1',
  '    args: [get-credentials]',
  '    env: [{name: AWS_PROFILE, value: example}]',
]

test("the kubelet's own file is read", () => {
  const [provider, ...others] = parse([...HEAD, 'providers:', ...ECR])

  assert.deepEqual(others, [])
  const { matchImages, ...fields } = provider ?? assert.fail('no provider')
  assert.deepEqual(
    matchImages.map(({ text }) => text),
    ['*.dkr.ecr.*.amazonaws.com', '*.dkr.ecr.*.amazonaws.com.cn'],
  )
  assert.deepEqual(fields, {
    name: 'ecr-credential-provider',
    apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
    defaultCacheMs: 43_200_000,
    args: ['get-credentials'],
    env: { AWS_PROFILE: 'example' },
  })
})

test('the older versions, and JSON, are read too', () => {
  for (const version of ['v1', 'v1beta1', 'v1alpha1']) {
    const providers = parseProviderConfig(
      JSON.stringify({
        apiVersion: `kubelet.config.k8s.io/${version}`,
        kind: 'CredentialProviderConfig',
        providers: [
          {
            name: 'p',
            matchImages: ['a.io'],
            defaultCacheDuration: '0s',
            apiVersion: `credentialprovider.kubelet.k8s.io/${version}`,
            args: null,
          },
        ],
      }),
      assert.fail,
    )
    assert.equal(providers[0]?.apiVersion, `credentialprovider.kubelet.k8s.io/${version}`)
  }
})

const LEFT_OUT: readonly [name: string, change: (lines: string) => string, reason: RegExp][] = [
  ['a name with a path', (lines) => lines.replace('ecr-c', '../c'), /its name has to be/],
  ['the name ..', (lines) => lines.replace('ecr-credential-provider', '..'), /its name has to be/],
  [
    'service account tokens',
    (lines) => `${lines}\n    tokenAttributes: {serviceAccountTokenAudience: a}`,
    /tokens of service accounts/,
  ],
  ['an unknown protocol', (lines) => lines.replace('io/v1', 'io/v2'), /its `apiVersion` is not/],
  ['no images', (lines) => lines.replace(/\[".*\]/, '[]'), /`matchImages` is empty/],
  [
    'images that are none',
    (lines) => lines.replace(/\[".*\]/, '["a b@c"]'),
    /`matchImages` holds "a b@c"/,
  ],
  [
    'no default duration',
    (lines) => lines.replace(/ +defaultCache.*\n/, ''),
    /no `defaultCacheDuration`/,
  ],
  [
    'a duration that is none',
    (lines) => lines.replace('12h', 'often'),
    /"often" is not a duration/,
  ],
]

for (const [name, change, reason] of LEFT_OUT) {
  test(`a provider with ${name} is left out and the others stay`, () => {
    const notes: string[] = []
    const other = ECR.map((line) => line.replace('ecr-credential-provider', 'other'))

    const providers = parse([...HEAD, 'providers:', change(ECR.join('\n')), ...other], (note) =>
      notes.push(note),
    )

    assert.deepEqual(
      providers.map((provider) => provider.name),
      ['other'],
    )
    assert.equal(notes.length, 1)
    assert.match(notes[0] ?? '', reason)
  })
}

test('a file that is another thing is refused', () => {
  const files: readonly (readonly [lines: readonly string[], message: RegExp])[] = [
    [['kind: Pod'], /`kind` is not CredentialProviderConfig/],
    [['kind: CredentialProviderConfig', 'apiVersion: v1'], /`apiVersion` is not/],
    [['a: [', 'b'], /line 2: not valid YAML/],
    [[''], /`kind` is not/],
  ]

  for (const [lines, message] of files) {
    assert.throws(
      () => parse(lines),
      (error) => error instanceof ResolveError && message.test(error.message),
    )
  }
})

function parse(lines: readonly string[], note: (reason: string) => void = assert.fail) {
  return parseProviderConfig(lines.join('\n'), note)
}
