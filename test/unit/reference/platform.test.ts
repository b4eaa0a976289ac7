import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  choosePlatform,
  formatPlatform,
  hostPlatform,
  lowerVariants,
  normalizePlatform,
  type Platform,
  parsePlatform,
} from '../../../src/reference/platform.ts'

describe('parsePlatform', () => {
  for (const [text, expected] of [
    ['linux/amd64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['Linux/X86_64', 'linux/amd64'],
    ['linux/x86-64', 'linux/amd64'],
    ['linux/x86_64/v1', 'linux/amd64'],
    ['linux/i386', 'linux/386'],
    ['linux/i386/sse', 'linux/386'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/aarch64/v8', 'linux/arm64'],
    ['linux/arm64/8', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/v9', 'linux/arm64/v9'],
    ['linux/arm64/V8.2', 'linux/arm64/v8.2'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/5', 'linux/arm/v5'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['linux/arm/7', 'linux/arm/v7'],
    ['linux/arm/8', 'linux/arm/v8'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armhf/v6', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['macos/arm64', 'darwin/arm64'],
    ['windows/amd64', 'windows/amd64'],
    ['plan9/mips64le', 'plan9/mips64le'],
  ] as const) {
    test(`reads ${text} as ${expected}`, () => {
      assert.equal(formatPlatform(parsePlatform(text)), expected)
    })
  }

  for (const text of [
    '',
    'linux',
    'arm64',
    'linux/',
    '/amd64',
    'linux//v7',
    'linux/arm/',
    'linux/arm/v7/x',
    'linux/*',
    'linux/amd 64',
    'linux/amd64\n',
    'windows(10.0.17763)/amd64',
    'unknown/unknown',
    'linux/unknown',
    'Unknown/amd64',
    `linux/${'a'.repeat(65)}`,
  ]) {
    test(`refuses ${JSON.stringify(text.slice(0, 30))}, and says what to write`, () => {
      assert.throws(() => parsePlatform(text), {
        name: 'ResolveError',
        code: 'PLATFORM_INVALID',
        message: /linux\/amd64/,
      })
    })
  }
})

test('formatPlatform leaves a platform as it is', () => {
  assert.equal(formatPlatform({ os: 'Linux', architecture: 'aarch64' }), 'Linux/aarch64')
  assert.equal(formatPlatform({ os: 'linux', architecture: 'arm', variant: 'v7' }), 'linux/arm/v7')
})

test('normalizePlatform gives no variant where there is none', () => {
  assert.deepEqual(normalizePlatform({ os: 'linux', architecture: 'arm64', variant: 'v8' }), {
    os: 'linux',
    architecture: 'arm64',
  })
})

describe('hostPlatform', () => {
  for (const [arch, os, armVersion, expected] of [
    ['x64', 'linux', undefined, 'linux/amd64'],
    ['ia32', 'linux', undefined, 'linux/386'],
    ['arm64', 'linux', undefined, 'linux/arm64'],
    ['arm64', 'linux', '7', 'linux/arm64'],
    ['arm', 'linux', '6', 'linux/arm/v6'],
    ['arm', 'linux', '7', 'linux/arm/v7'],
    ['arm', 'linux', 'default', 'linux/arm/v7'],
    ['arm', 'linux', undefined, 'linux/arm/v7'],
    ['ppc64', 'linux', undefined, 'linux/ppc64le'],
    ['mipsel', 'linux', undefined, 'linux/mipsle'],
    ['s390x', 'linux', undefined, 'linux/s390x'],
    ['riscv64', 'linux', undefined, 'linux/riscv64'],
    ['x64', 'win32', undefined, 'windows/amd64'],
    ['arm64', 'darwin', undefined, 'linux/arm64'],
    ['x64', 'freebsd', undefined, 'freebsd/amd64'],
  ] as const) {
    test(`of ${os} on ${arch} (ARM ${armVersion}) is ${expected}`, () => {
      assert.equal(formatPlatform(hostPlatform(arch, os, armVersion ?? null)), expected)
    })
  }

  test('of this machine is one that parses', () => {
    const platform = hostPlatform()

    assert.deepEqual(parsePlatform(formatPlatform(platform)), platform)
  })
})

describe('choosePlatform', () => {
  /** What is wanted, what an index has, and what is taken of it in turn, best first. */
  for (const [target, offered, taken] of [
    ['linux/amd64', 'linux/386 linux/amd64/v2 linux/amd64', 'linux/amd64 linux/386'],
    [
      'linux/amd64/v3',
      'linux/386 linux/amd64 linux/amd64/v2 linux/amd64/v3 linux/amd64/v4',
      'linux/amd64/v3 linux/amd64/v2 linux/amd64 linux/386',
    ],
    ['linux/386', 'linux/amd64 linux/386', 'linux/386'],
    [
      'linux/arm/v7',
      'linux/arm/v5 linux/arm/v6 linux/arm linux/arm/v8 linux/arm64',
      'linux/arm linux/arm/v6 linux/arm/v5',
    ],
    ['linux/arm/v6', 'linux/arm linux/arm/v6', 'linux/arm/v6'],
    [
      'linux/arm64',
      'linux/arm/v6 linux/arm linux/arm/v8 linux/arm64/v9 linux/aarch64',
      'linux/aarch64 linux/arm/v8 linux/arm linux/arm/v6',
    ],
    [
      'linux/arm64/v8.2',
      'linux/arm64 linux/arm64/v8.1 linux/arm64/v8.3 linux/arm/v8',
      'linux/arm64/v8.1 linux/arm64 linux/arm/v8',
    ],
    [
      'linux/arm64/v9',
      'linux/arm64 linux/arm64/v8.6 linux/arm64/v8.5 linux/arm64/v9.1 linux/arm/v7',
      'linux/arm64/v8.5 linux/arm64 linux/arm/v7',
    ],
    ['linux/ppc64le', 'linux/amd64 linux/ppc64le', 'linux/ppc64le'],
    ['linux/amd64', 'windows/amd64 darwin/amd64', ''],
  ] as const) {
    test(`for ${target} takes ${taken || 'nothing'} of ${offered}`, () => {
      let children = offered.split(' ').map(child)
      const chosen: string[] = []

      for (;;) {
        const best = choosePlatform(platform(target), children)
        if (best === undefined) break
        chosen.push(formatPlatform(best.platform))
        children = children.filter((other) => other !== best)
      }

      assert.equal(chosen.join(' '), taken)
    })
  }

  test('takes the first of children that mean the same platform', () => {
    const children = [child('linux/amd64/v1'), child('linux/amd64')]

    assert.equal(choosePlatform(platform('linux/amd64'), children), children[0])
  })

  test('never takes an attestation, which says unknown of itself', () => {
    const attestation = child('unknown/unknown')

    assert.equal(choosePlatform(platform('linux/amd64'), [attestation]), undefined)
    assert.equal(choosePlatform(platform('unknown/unknown'), [attestation]), undefined)
  })

  test('takes a child that names no platform only when no other fits', () => {
    const silent: { readonly platform?: Platform } = {}
    const fitting = child('linux/386')

    assert.equal(choosePlatform(platform('linux/amd64'), [silent, fitting]), fitting)
    assert.equal(choosePlatform(platform('linux/s390x'), [silent, fitting]), silent)
  })

  test('takes nothing of an empty index', () => {
    assert.equal(choosePlatform(platform('linux/amd64'), []), undefined)
  })
})

function child(text: string): { readonly platform: Platform } {
  return { platform: platform(text) }
}

/** Unlike parsePlatform, without normalising: as an index may have it. */
function platform(text: string): Platform {
  const [os = '', architecture = '', variant] = text.split('/')
  return { os, architecture, ...(variant && { variant }) }
}

describe('lowerVariants', () => {
  for (const [architecture, variant, expected] of [
    ['amd64', '', []],
    ['amd64', 'v2', ['']],
    ['amd64', 'v4', ['v3', 'v2', '']],
    ['arm', 'v5', []],
    ['arm', 'v8', ['v7', 'v6', 'v5']],
    ['arm64', '', []],
    ['arm64', 'v8.1', ['']],
    ['arm64', 'v8.3', ['v8.2', 'v8.1', '']],
    ['arm64', 'v9', ['v8.5', 'v8.4', 'v8.3', 'v8.2', 'v8.1', '']],
    ['arm64', 'v9.2', ['v9.1', 'v9', 'v8.7', 'v8.6', 'v8.5', 'v8.4', 'v8.3', 'v8.2', 'v8.1', '']],
    ['riscv64', 'v3', []],
  ] as const) {
    test(`below ${architecture}/${variant} are ${expected.join(' ') || 'none'}`, () => {
      assert.deepEqual(lowerVariants(architecture, variant), expected)
    })
  }

  for (const variant of ['x', 'v', 'v-1', 'v1e9', 'v999999999', 'v8.2.1']) {
    test(`below the odd variant ${variant} are none`, () => {
      for (const architecture of ['amd64', 'arm', 'arm64']) {
        assert.deepEqual(lowerVariants(architecture, variant), [])
      }
    })
  }
})
