import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { startProgram } from '../support/program.ts'
import { makeFolder, temporaryFolder } from '../support/stack.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const NAME = 'image-resolver'

let packedOnce: string | undefined

/** @returns the tarball of the package */
function packed(): string {
  if (packedOnce !== undefined) return packedOnce
  // Removed when the process ends: a hook would belong to the first test that packs.
  const folder = makeFolder()
  // Without its scripts: `prepare` would build under the feet of the other tests.
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder]
  execFileSync('npm', pack, { cwd: ROOT, env: npmEnvironment(folder) })
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  packedOnce = join(folder, tarball)
  return packedOnce
}

/** A folder in which the package is installed as its tarball has it. */
function installed(t: TestContext): { readonly folder: string; readonly home: string } {
  const folder = temporaryFolder(t)
  const home = join(folder, 'node_modules', 'image-resolver')
  mkdirSync(home, { recursive: true })
  execFileSync('tar', ['-xzf', packed(), '-C', home, '--strip-components=1'])
  // Its dependencies, which need the network.
  symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'))
  const bin = join(folder, 'node_modules', '.bin')
  mkdirSync(bin)
  const program = join(home, JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')).bin[NAME])
  chmodSync(program, 0o755)
  symlinkSync(program, join(bin, NAME))
  return { folder, home }
}

function npmEnvironment(folder: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    npm_config_cache: join(folder, 'cache'),
    npm_config_update_notifier: 'false',
  }
}

function configuration(folder: string): string {
  const file = join(folder, 'image-resolver.yaml')
  const http = { listen: `unix://${join(folder, 'http.sock')}` }
  const config = { shim: join(folder, 'shim.sock'), cri: join(folder, 'none.sock'), http }
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ ...config, image: folder }))
  return file
}

function listens(socket: string): Promise<boolean> {
  return new Promise((settle) => {
    const connection = connect(socket)
    connection.once('connect', () => {
      connection.destroy()
      settle(true)
    })
    connection.once('error', () => settle(false))
  })
}

test('SIGTERM to npm start ends the service, and npm with it', async (t) => {
  const folder = temporaryFolder(t)
  const args = ['start', '--silent', '--', '--config', configuration(folder)]
  const program = startProgram('npm', args, { HOME: folder, npm_config_update_notifier: 'false' })
  const [, pid = ''] = await program.line(/"pid":(\d+).*HTTP is served/)
  t.after(() => {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended, as it should.
    }
  })
  assert.ok(await listens(join(folder, 'http.sock')))

  process.kill(program.pid, 'SIGTERM')
  await program.line(/"msg":"ending"/)
  await program.ended()

  assert.equal(await listens(join(folder, 'http.sock')), false)
  assert.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' })
})

test('the packed package has its program, which serves', async (t) => {
  const { folder } = installed(t)
  const bin = join(folder, 'node_modules', '.bin', 'image-resolver')
  const parsed = startProgram(bin, ['parse', 'nginx'])
  const service = startProgram(bin, ['--config', configuration(folder)])
  t.after(() => service.stop())

  await service.line(/HTTP is served/)
  await parsed.ended()

  assert.equal(parsed.exitCode(), 0, parsed.output())
  assert.match(parsed.output(), /docker\.io\/library\/nginx:latest/)
})

test('the bundle alone, without its package, knows its version', (t) => {
  const folder = temporaryFolder(t)
  cpSync(join(ROOT, 'dist/app'), folder, { recursive: true })
  // Only the package tells Node that these are modules.
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')

  const version = execFileSync(process.execPath, [join(folder, 'main.js'), '--version'])

  const { version: ours } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  assert.match(String(version), new RegExp(`^${ours} `))
})

test('the packed package has the client, by its own name and as the package itself', async (t) => {
  const { folder, home } = installed(t)
  const script = join(folder, 'ask.mjs')
  writeFileSync(
    script,
    `import { ImageResolverClient } from 'image-resolver/client'
     import { ImageResolverClient as same } from 'image-resolver'
     process.stdout.write(String(ImageResolverClient === same && new same() instanceof same))`,
  )
  const program = startProgram(process.execPath, [script])

  await program.ended()

  assert.equal(program.output(), 'true')
  const files = readdirSync(home, { recursive: true, encoding: 'utf8' })
  assert.ok(files.includes('dist/src/client.d.ts'))
  assert.deepEqual(
    files.filter((name) => !name.startsWith('node_modules/') && /\.tsbuildinfo$|^test/.test(name)),
    [],
  )
})

test('publint finds nothing to say of the packed package', async () => {
  const tarball = new Uint8Array(readFileSync(packed())).buffer

  const { messages } = await publint({ pack: { tarball }, strict: true })

  assert.deepEqual(messages, [])
})

test('the types of the packed package are right, for TypeScript that knows `exports` and ES modules', async () => {
  const result = await checkPackage(createPackageFromTarballData(readFileSync(packed())))

  assert.ok(result.types !== false)
  assert.deepEqual(Object.keys(result.entrypoints), ['.', './client', './package.json'])
  // There is no CommonJS beside it, which Node 20.19 does without.
  const expected = new Set(['node10 NoResolution', 'node16-cjs CJSResolvesToESM'])
  const problems = result.problems.map((problem) =>
    'resolutionKind' in problem ? `${problem.resolutionKind} ${problem.kind}` : problem.kind,
  )
  assert.deepEqual(
    problems.filter((problem) => !expected.has(problem)),
    [],
  )
})

/** What docs/http-api.md shows of the client, each as a module of its own. */
function shownModules(): readonly string[] {
  const page = readFileSync(join(ROOT, 'docs/http-api.md'), 'utf8')
  return [...page.matchAll(/^```ts\n(import [\s\S]*?)^```$/gm)].map(([, code = '']) => code)
}

for (const resolution of ['nodenext', 'bundler'] as const) {
  test(`what the docs show of the client compiles against the packed package (${resolution})`, (t) => {
    const { folder } = installed(t)
    for (const name of ['undici', '@types', 'undici-types', 'typebox']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
    }
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    const modules = shownModules()
    for (const [index, code] of modules.entries()) {
      writeFileSync(join(folder, `consumer-${index}.ts`), code)
    }
    const moduleKind = resolution === 'nodenext' ? 'nodenext' : 'esnext'
    const compile = [
      ...['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false'],
      ...['--target', 'es2024', '--types', 'node'],
      ...['--module', moduleKind, '--moduleResolution', resolution],
      ...modules.map((_code, index) => `consumer-${index}.ts`),
    ]

    const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), compile, {
      cwd: folder,
      encoding: 'utf8',
    })

    assert.equal(modules.length, 2)
    assert.equal(stdout, '')
    assert.equal(status, 0)
  })
}
