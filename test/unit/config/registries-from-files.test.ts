import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../src/config/diagnostics.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { printConfig } from '../../../src/config/print.ts'
import type { HostsFiles } from '../../../src/config/sources/hosts-dir.ts'

const FILE = '/etc/x.yaml'

/** Loads FILE of a machine that has these files and no others. */
function load(files: Readonly<Record<string, string>>, portoshim?: string) {
  const hosts: HostsFiles = {
    list: async (folder) => {
      const below = Object.keys(files).filter((file) => file.startsWith(`${folder}/`))
      const found = new Set(below.map((file) => file.slice(folder.length + 1).split('/')[0] ?? ''))
      return found.size === 0 ? undefined : [...found]
    },
    read: async (file) => files[file],
  }
  return loadConfig({
    file: FILE,
    portoshim,
    hosts,
    read: async (file) => {
      const text = files[file]
      if (text !== undefined) return text
      throw new ConfigError(file, [{ line: 0, path: '', message: 'there is no such file' }])
    },
    socketExists: () => false,
    env: {},
  })
}

const HOSTS = {
  '/certs.d/docker.io/hosts.toml': '[host."https://mirror.corp"]\n[host."https://hub.corp"]\n',
  '/certs.d/quay.io/hosts.toml': 'server = "https://mirror.corp"\n',
}
const PORTOSHIM = {
  '/etc/portoshim.yaml':
    'Images:\n  PauseImage: k8s.gcr.io/pause:3.7\n  Registries:\n  - {Host: quay.io, AuthToken: s3cret}\n',
}

test('registries of hosts.toml files and of a portoshim.yaml stand beside those of the file', async () => {
  const { config, warnings } = await load({
    [FILE]:
      'registries: [{address: own.corp}]\nhostsDir: /certs.d\nportoshim: /etc/portoshim.yaml\n',
    ...HOSTS,
    ...PORTOSHIM,
  })

  assert.deepEqual(config.registries.map(({ name, source }) => `${name} ${source}`).sort(), [
    'hub.corp hostsDir',
    'mirror.corp hostsDir',
    'own.corp undefined',
    'quay.io portoshim',
  ])
  assert.deepEqual(config.mirrorsOnly, ['quay.io'])
  assert.equal(config.pauseImage, 'k8s.gcr.io/pause:3.7')
  assert.deepEqual(warnings, [])
})

test('a registry that the file itself has is left out of the others, with a warning', async () => {
  const { config, warnings } = await load({
    [FILE]: `registries: [{address: hub.corp, auth: u:p}, {address: quay.io}]
hostsDir: /certs.d
portoshim: /etc/portoshim.yaml
`,
    ...HOSTS,
    ...PORTOSHIM,
  })

  assert.deepEqual(config.registries.map(({ name, source }) => `${name} ${source}`).sort(), [
    'hub.corp undefined',
    'mirror.corp hostsDir',
    'quay.io undefined',
  ])
  assert.deepEqual(warnings, [
    'hostsDir: hub.corp is left out: this configuration has that registry',
    'portoshim: quay.io is left out: this configuration has that registry',
  ])
})

test('a portoshim.yaml of the command line is read instead of the one in the file', async () => {
  const { config } = await load(
    { [FILE]: 'portoshim: /gone.yaml\n', ...PORTOSHIM },
    '/etc/portoshim.yaml',
  )

  assert.equal(config.portoshim, '/etc/portoshim.yaml')
  assert.equal(config.pauseImage, 'k8s.gcr.io/pause:3.7')
})

test('a portoshim.yaml that is not there or wrong makes the configuration unusable, by its own name', async () => {
  const text = 'portoshim: /etc/portoshim.yaml\n'

  await assert.rejects(load({ [FILE]: text }), /\n\/etc\/portoshim\.yaml: there is no such file$/)
  await assert.rejects(
    load({ [FILE]: text, '/etc/portoshim.yaml': 'Images: [1]\n' }),
    (thrown) => thrown instanceof ConfigError && thrown.file === '/etc/portoshim.yaml',
  )
})

test('a folder that is not there and a hosts.toml that is wrong are warnings', async () => {
  const text = 'hostsDir: /certs.d\n'
  const wrong = { '/certs.d/docker.io/hosts.toml': 'server = ' }

  const gone = await load({ [FILE]: text })
  const bad = await load({ [FILE]: text, ...wrong })

  assert.match(gone.warnings.join('\n'), /^\/certs\.d: /)
  assert.match(
    bad.warnings.join('\n'),
    /^\/certs\.d\/docker\.io\/hosts\.toml: line 1: not valid TOML/,
  )
})

test('the fingerprint changes with any of the files, and only with them', async () => {
  const files = {
    [FILE]: 'hostsDir: /certs.d\nportoshim: /etc/portoshim.yaml\n',
    ...HOSTS,
    ...PORTOSHIM,
  }
  const changes: Readonly<Record<string, string>>[] = [
    { [FILE]: `${files[FILE]}debug: true\n` },
    { '/certs.d/docker.io/hosts.toml': '[host."https://other.corp"]\n' },
    { '/certs.d/ghcr.io/hosts.toml': '[host."https://mirror.corp"]\n' },
    { '/etc/portoshim.yaml': 'Images: {PauseImage: k8s.gcr.io/pause:3.8}\n' },
  ]
  const fingerprintOf = async (all: Readonly<Record<string, string>>) =>
    (await load(all)).fingerprint

  const first = await fingerprintOf(files)
  const others = await Promise.all(changes.map((change) => fingerprintOf({ ...files, ...change })))

  assert.equal(await fingerprintOf(files), first)
  assert.equal(new Set([first, ...others]).size, 5)
})

test('what is printed loads again to the same, and shows what the other files add', async () => {
  const files = {
    [FILE]: 'registries: [{address: own.corp}]\nhostsDir: /certs.d\n',
    ...HOSTS,
    ...PORTOSHIM,
  }
  const { config } = await load(files, '/etc/portoshim.yaml')
  const printed = printConfig(config)

  const again = await load({ ...files, [FILE]: printed })

  assert.deepEqual(again.config, { ...config, criExpected: true })
  assert.match(printed, /^# of hostsDir: hub\.corp, priority \d+, for docker\.io$/m)
  assert.match(printed, /^# of portoshim: quay\.io, priority \d+, for quay\.io$/m)
  assert.match(printed, /^# of portoshim: the pause image k8s\.gcr\.io\/pause:3\.7$/m)
  assert.doesNotMatch(printed, /s3cret/)
})
