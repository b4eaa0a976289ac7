import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { containerdHostsCommand } from '../../../src/cli/commands/containerd-hosts.ts'
import type { Values } from '../../../src/cli/options.ts'
import { readHostsDir } from '../../../src/config/sources/hosts-dir.ts'
import { parseHostsFile } from '../../../src/config/sources/hosts-toml.ts'
import { temporaryFolder } from '../../support/stack.ts'

const CONFIG = `
address: http://sealos.hub:5000
registries:
- address: harbor.corp
  upstreams: [docker.io]
mirror:
  enabled: true
`

async function scene(t: TestContext, config = CONFIG) {
  const folder = temporaryFolder(t)
  const file = join(folder, 'image-resolver.yaml')
  const certs = join(folder, 'certs.d')
  await writeFile(file, config, { mode: 0o600 })
  const out: string[] = []
  const err: string[] = []
  const print = (values: Values = {}) =>
    containerdHostsCommand(
      [],
      { config: file, ...values },
      { stdout: { write: (text) => out.push(text) }, stderr: { write: (text) => err.push(text) } },
    )
  const run = (values: Values = {}) => print({ write: certs, ...values })
  const hosts = (name: string) => join(certs, name, 'hosts.toml')
  return {
    certs,
    hosts,
    print,
    run,
    out: () => out.splice(0).join(''),
    err: () => err.splice(0).join(''),
  }
}

test('the files are written where containerd looks for them, and listed', async (t) => {
  const { certs, hosts, out, err, run } = await scene(t)

  assert.equal(await run(), 0)

  assert.deepEqual((await readdir(certs)).sort(), ['_default', 'docker.io', 'sealos.hub_5000_'])
  assert.deepEqual(await readdir(join(certs, 'docker.io')), ['hosts.toml'])
  const written = ['docker.io', 'sealos.hub_5000_', '_default'].map(hosts)
  assert.equal(out(), written.map((file) => `${file}: written\n`).join(''))
  assert.equal(err(), '')
  const { hosts: [host] = [], server } = await parseHostsFile(
    await readFile(hosts('docker.io'), 'utf8'),
    certs,
  )
  assert.deepEqual(host?.url, { scheme: 'http', host: '127.0.0.1:9430', prefix: '' })
  assert.deepEqual(host?.capabilities, ['resolve', 'pull'])
  assert.equal(server.url?.host, 'registry-1.docker.io')
})

test('with --direct only what containerd has to know of the registries themselves is written', async (t) => {
  const { certs, hosts, err, out, run } = await scene(t, 'address: http://sealos.hub:5000\n')

  assert.equal(await run({ direct: true }), 0)

  assert.deepEqual(await readdir(certs), ['sealos.hub_5000_'])
  assert.equal(out(), `${hosts('sealos.hub_5000_')}: written\n`)
  assert.equal(err(), '')
  assert.deepEqual((await readFile(hosts('sealos.hub_5000_'), 'utf8')).split('\n').slice(1), [
    'server = "http://sealos.hub:5000"',
    '',
    '[host."http://sealos.hub:5000"]',
    '  capabilities = ["pull", "resolve"]',
    '',
  ])
})

test('without a folder they are printed, and nothing is written', async (t) => {
  const { certs, out, print } = await scene(t)

  assert.equal(await print(), 0)

  assert.match(out(), /^# docker\.io\/hosts\.toml\n# Written by .*\nserver = "https:/)
  await assert.rejects(readdir(certs), { code: 'ENOENT' })
})

test('what we wrote is replaced, and left alone when nothing changed', async (t) => {
  const { hosts, out, run } = await scene(t)
  await run()
  out()

  await run({ server: 'http://10.0.0.5:9430' })
  assert.match(out(), /: written\n.*: written\n/)
  await run({ server: 'http://10.0.0.5:9430' })

  assert.match(out(), /: as it was\n.*: as it was\n/)
  assert.match(await readFile(hosts('_default'), 'utf8'), /\[host\."http:\/\/10\.0\.0\.5:9430"\]/)
})

test("somebody else's file is not replaced, and then nothing is written; but with --force", async (t) => {
  const { certs, hosts, run } = await scene(t)
  await mkdir(join(certs, 'docker.io'), { recursive: true })
  await writeFile(hosts('docker.io'), 'server = "https://mine.corp"\n')

  await assert.rejects(run(), { code: 'DENIED', message: /docker\.io\/hosts\.toml: nothing was/ })
  assert.deepEqual(await readdir(certs), ['docker.io'])
  assert.equal(await readFile(hosts('docker.io'), 'utf8'), 'server = "https://mine.corp"\n')
  await run({ force: true })

  assert.match(await readFile(hosts('docker.io'), 'utf8'), /^# Written by/)
})

test('a file of ours is not read as one that tells of mirrors', async (t) => {
  const { certs, run } = await scene(t)
  await run()

  assert.deepEqual(await readHostsDir(certs), {
    entries: [],
    mirrorsOnly: [],
    warnings: [],
    broken: [],
  })
})

test('the folder where mirrors are read from is not written to', async (t) => {
  const folder = temporaryFolder(t)
  const { run } = await scene(t, `${CONFIG}hostsDir: ${folder}\n`)

  await assert.rejects(run({ write: `${folder}/` }), {
    code: 'CONFIG_INVALID',
    message: /is `hostsDir`/,
  })
})

test('the server is where the service listens, for this machine', async (t) => {
  const listens = { '0.0.0.0:80': '127.0.0.1:80', '"[::1]:9430"': '[::1]:9430' }
  for (const [listen, host] of Object.entries(listens)) {
    const { out, print } = await scene(
      t,
      `${CONFIG}http:\n  listen: ${listen}\n  token: abcdefgh12345678\n`,
    )

    await print()

    assert.ok(out().includes(`[host."http://${host}"]`))
  }
})

test('a server that is none, and a unix socket, are refused', async (t) => {
  const { run } = await scene(t, `${CONFIG}http:\n  listen: unix:///run/x.sock\n`)

  await assert.rejects(run(), { code: 'CONFIG_INVALID', message: /--server/ })
  for (const server of ['127.0.0.1:9430', 'ftp://x', 'http://a:b@x', 'http://x/v2', 'http://x?y']) {
    await assert.rejects(run({ server }), {
      code: 'CONFIG_INVALID',
      message: /^--server/,
    })
  }
})

test('what would keep containerd from us is said', async (t) => {
  const { err, run } = await scene(
    t,
    'address: hub.corp\nhttp:\n  listen: 10.0.0.5:9430\n  token: abcdefgh12345678\n',
  )

  await run()

  assert.match(err(), /`mirror\.enabled` is not true/)
  const { err: more, run: again } = await scene(
    t,
    `${CONFIG}http:\n  listen: 10.0.0.5:9430\n  token: abcdefgh12345678\n`,
  )
  await again()
  const warnings = more()
  assert.match(warnings, /header\.authorization/)
  assert.doesNotMatch(warnings, /abcdefgh/)
})

test('a folder that cannot be written to is named, with the reason', async (t) => {
  const { certs, run } = await scene(t)
  await writeFile(certs, 'a file')

  await assert.rejects(run(), {
    code: 'DENIED',
    message: `${certs} is no folder; name one with --write`,
  })
  await assert.rejects(run({ write: join(certs, 'below') }), {
    code: 'DENIED',
    message: `${join(certs, 'below')} cannot be written: a part of its path is no folder`,
  })
  // Which Node 20 would try to make for ever.
  await assert.rejects(run({ write: '/proc/none' }), {
    code: 'DENIED',
    message: '/proc/none cannot be written: the folder above it is not there',
  })
})
