import assert from 'node:assert/strict'
import { chownSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../support/program.ts'
import { temporaryFolder } from '../support/stack.ts'

const LAUNCHER = fileURLToPath(new URL('../../bin/image-resolver', import.meta.url))
const SHELL = process.env['PATH'] ?? ''

/** What Node is started with, said by a program in its place. */
async function started(
  t: TestContext,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ readonly flags: readonly string[]; readonly compileCache: string }> {
  const folder = temporaryFolder(t)
  const print = '#!/bin/sh\nprintf "%s\\n" "$NODE_COMPILE_CACHE" "$@"\n'
  writeFileSync(join(folder, 'node'), print, { mode: 0o755 })
  const given = {
    NODE_OPTIONS: undefined,
    NODE_COMPILE_CACHE: undefined,
    CACHE_DIRECTORY: join(folder, 'none'),
    PATH: `${folder}:${SHELL}`,
    ...environment,
  }
  const output = await runProgram(LAUNCHER, words, given)
  const [compileCache = '', ...args] = output.trimEnd().split('\n')
  const main = args.findIndex((arg) => arg.endsWith('dist/app/main.js'))
  assert.deepEqual(args.slice(main + 1), words)
  return { flags: args.slice(0, main), compileCache }
}

for (const words of [
  [],
  ['serve'],
  ['--config', 'image-resolver.yaml'],
  ['serve', '--config', 'x'],
]) {
  test(`the service has limits to its memory: image-resolver ${words.join(' ')}`, async (t) => {
    const { flags } = await started(t, words)
    assert.deepEqual(flags, ['--max-semi-space-size=2', '--max-old-space-size=192'])
  })
}

for (const words of [['resolve', 'nginx'], ['doctor'], ['parse', 'a b']]) {
  test(`a command has no flags, which cost time: image-resolver ${words.join(' ')}`, async (t) => {
    const { flags } = await started(t, words)
    assert.deepEqual(flags, [])
  })
}

test('a limit to the heap in NODE_OPTIONS wins', async (t) => {
  const { flags } = await started(t, [], { NODE_OPTIONS: '--max-old-space-size=512' })
  assert.deepEqual(flags, ['--max-semi-space-size=2'])
})

test('compiled code is kept in the folder that systemd gives', async (t) => {
  const folder = temporaryFolder(t)
  const { compileCache } = await started(t, ['resolve', 'nginx'], { CACHE_DIRECTORY: folder })
  assert.equal(compileCache, join(folder, 'node'))
})

/** A folder that is not this user's. */
function foreignFolder(t: TestContext): string {
  if (process.getuid?.() !== 0) return '/'
  const folder = temporaryFolder(t)
  chownSync(folder, 65_534, 65_534)
  return folder
}

test('no code is run that another user may have put into that folder', async (t) => {
  const { compileCache } = await started(t, ['resolve', 'x'], { CACHE_DIRECTORY: foreignFolder(t) })
  assert.equal(compileCache, '')
})

test('nor what that user has put in the place of the one in it', async (t) => {
  const folder = temporaryFolder(t)
  symlinkSync(foreignFolder(t), join(folder, 'node'))
  const { compileCache } = await started(t, ['resolve', 'x'], { CACHE_DIRECTORY: folder })
  assert.equal(compileCache, '')
})

test('a folder for compiled code that is named for Node stays', async (t) => {
  const environment = { CACHE_DIRECTORY: temporaryFolder(t), NODE_COMPILE_CACHE: '/elsewhere' }
  const { compileCache } = await started(t, ['resolve', 'nginx'], environment)
  assert.equal(compileCache, '/elsewhere')
})
