import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { lowerVariants } from '../../../src/reference/platform.ts'

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
