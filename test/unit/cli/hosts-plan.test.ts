import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planDirectHosts, planHosts } from '../../../src/cli/commands/hosts-plan.ts'
import { isOwnHosts, parseHostsFile } from '../../../src/config/sources/hosts-toml.ts'
import { entry } from '../../support/resolver.ts'

const MIRROR = 'http://127.0.0.1:9430'
const MIRROR_LINES = `\n[host."${MIRROR}"]\n  capabilities = ["pull", "resolve"]\n`

function plan(
  registries: readonly ReturnType<typeof entry>[],
  mirrorsOnly: readonly string[] = [],
): { readonly folders: Readonly<Record<string, string>>; readonly notes: readonly string[] } {
  const { folders, notes } = planHosts({ registries, mirrorsOnly }, MIRROR)
  assert.ok(folders.every(({ text }) => isOwnHosts(text)))
  const bodies = folders.map(({ name, text }) => [name, text.replace(/^#.*\n/, '')])
  return { folders: Object.fromEntries(bodies), notes }
}

test('each upstream has a folder, whose server is the registry itself', () => {
  const harbor = entry('harbor.corp', { upstreams: ['docker.io', 'quay.io/team', 'hub.corp:5000'] })
  const { folders, notes } = plan([harbor, entry('quay.io')])

  assert.deepEqual(folders, {
    'docker.io': `server = "https://registry-1.docker.io"\n${MIRROR_LINES}`,
    'hub.corp_5000_': `server = "https://hub.corp:5000"\n${MIRROR_LINES}`,
    'quay.io': `server = "https://quay.io"\n${MIRROR_LINES}`,
  })
  assert.deepEqual(notes, [])
})

test('a registry that serves everything has the folder for everything, without a server', () => {
  assert.deepEqual(plan([entry('harbor.corp')]).folders, { _default: MIRROR_LINES })
})

test('a registry is asked in the way that is configured for it', () => {
  const endpoint = { scheme: 'http', host: 'hub.corp:5000', prefix: '' } as const
  const plain = entry('hub.corp:5000', { endpoint, upstreams: ['hub.corp:5000'] })

  assert.match(plan([plain]).folders['hub.corp_5000_'] ?? '', /^server = "http:\/\/hub.corp:5000"/)
})

test('a registry of plain http has a folder, which leads to itself in the end', () => {
  const endpoint = { scheme: 'http', host: 'hub.corp:5000', prefix: 'team' } as const
  const { folders } = plan([entry('hub.corp:5000/team', { endpoint })])

  assert.deepEqual(folders, {
    'hub.corp_5000_': `server = "http://hub.corp:5000"\n${MIRROR_LINES}\n[host."http://hub.corp:5000"]\n  capabilities = ["pull", "resolve"]\n`,
    _default: MIRROR_LINES,
  })
})

test('what containerd has to know of a registry itself is its scheme and its TLS settings', async () => {
  const tls = { caFiles: ['/ca.pem'], certFile: '/c', keyFile: '/k', insecureSkipVerify: true }
  const at = (host: string, more: object = {}) =>
    entry(host, { endpoint: { scheme: 'https', host, prefix: '', ...more } })
  const folders = planDirectHosts([
    at('private.corp', { tls }),
    at('hub.corp:5000', { scheme: 'http' }),
    at('localhost:5000', { scheme: 'http' }),
    at('usual.corp'),
    { ...at('asked.corp', { scheme: 'http' }), capabilities: ['resolve'] },
  ])

  assert.deepEqual(
    folders.map(({ name }) => name),
    ['hub.corp_5000_', 'private.corp'],
  )
  const { hosts, server } = await parseHostsFile(folders[1]?.text ?? '', '/')
  assert.deepEqual(hosts[0]?.tls, tls)
  assert.equal(server.url?.host, 'private.corp')
})

test('what is not to come from its origin is not asked for there by containerd either', () => {
  const { folders } = plan(
    [entry('harbor.corp', { upstreams: ['quay.io', 'a.corp', 'gcr.io'] })],
    ['docker.io', 'quay.io/team', '*.corp'],
  )

  for (const name of ['docker.io', 'quay.io', 'a.corp']) {
    assert.equal(folders[name], `server = "${MIRROR}"\n${MIRROR_LINES}`)
  }
  assert.match(folders['gcr.io'] ?? '', /^server = "https:\/\/gcr.io"/)
})

test('all subdomains of a domain are more than hosts.toml can express', () => {
  const some = plan([entry('harbor.corp', { upstreams: ['*.corp'] })])
  const all = plan([entry('harbor.corp'), entry('other.corp', { upstreams: ['*.io'] })], ['*.corp'])

  assert.deepEqual(some.folders, {})
  assert.equal(some.notes.length, 1)
  assert.match(some.notes[0] ?? '', /^\*\.corp: .* for each that is used$/)
  assert.equal(all.notes.length, 1)
  assert.match(all.notes[0] ?? '', /^\*\.corp: .*, with `server = "http:\/\/127.0.0.1:9430"`$/)
})
