import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { remainsOf } from '../../../src/install/lost-list.ts'
import { Root } from '../../../src/install/root.ts'
import { temporaryFolder } from '../../support/stack.ts'

const MARK = '# Written by image-resolver install. Changes belong into a drop-in\n'
const UNITS = '/etc/systemd/system'
const HOSTS = { path: '/etc/containerd/certs.d/plain.corp/hosts.toml', text: '# ours\n' }

/** What `install` has left, and what others have beside it. */
const FILES = {
  [`${UNITS}/image-resolver.service`]: `${MARK}[Service]\n`,
  [`${UNITS}/image-resolver.service.before-image-resolver`]: '[Service]\n# by hand\n',
  [`${UNITS}/image-resolver.socket`]: `${MARK}[Socket]\nListenStream=/run/s.sock\n`,
  '/opt/image-resolver/versions/0.1.0-0123456789ab/node': '',
  '/opt/image-resolver/versions/by-hand/node': '',
  '/opt/image-resolver/notes': '',
  '/etc/image-resolver.yaml': '',
  '/etc/image-resolver/secrets/harbor/password': 's3cret',
  '/var/cache/image-resolver/x': '',
  '/var/lib/image-resolver/tags.json': '',
  [HOSTS.path]: HOSTS.text,
  '/etc/containerd/certs.d/other.corp/hosts.toml': '# theirs\n',
}
const LINKS = {
  '/opt/image-resolver/current': 'versions/0.1.0-0123456789ab',
  '/usr/local/bin/image-resolver': '/opt/image-resolver/current/bin/image-resolver',
  [`${UNITS}/multi-user.target.wants/image-resolver.service`]: `${UNITS}/image-resolver.service`,
  [`${UNITS}/sockets.target.wants/image-resolver.socket`]:
    '/usr/lib/systemd/system/image-resolver.socket',
}

function plant(root: Root): void {
  const at = (path: string): string => {
    mkdirSync(dirname(root.outside(path, false)), { recursive: true })
    return root.outside(path, false)
  }
  for (const [path, text] of Object.entries(FILES)) writeFileSync(at(path), text)
  for (const [path, target] of Object.entries(LINKS)) symlinkSync(target, at(path))
}

test('of an installation without a list is taken what install alone makes, and nothing that may be of others', (t) => {
  const root = new Root(temporaryFolder(t))
  plant(root)

  const remains = remainsOf(root, { socket: '/run/s.sock', hosts: [HOSTS] })

  assert.deepEqual(remains?.changes.map(({ path, whole }) => (whole ? `${path}/*` : path)).sort(), [
    '/etc/containerd/certs.d/plain.corp',
    HOSTS.path,
    '/etc/image-resolver',
    '/etc/image-resolver/secrets',
    '/etc/image-resolver/secrets/harbor',
    '/etc/image-resolver/secrets/harbor/password',
    `${UNITS}/image-resolver.service`,
    `${UNITS}/image-resolver.socket`,
    `${UNITS}/multi-user.target.wants/image-resolver.service`,
    '/opt/image-resolver',
    '/opt/image-resolver/current',
    '/opt/image-resolver/versions',
    '/opt/image-resolver/versions/0.1.0-0123456789ab/*',
    '/usr/local/bin/image-resolver',
    '/var/cache/image-resolver/*',
    '/var/lib/image-resolver',
  ])
  const unit = remains?.changes.find(({ path }) => path === `${UNITS}/image-resolver.service`)
  assert.equal(unit?.before?.kind, 'file')
  assert.equal(unit?.backup, `${UNITS}/image-resolver.service.before-image-resolver`)
  assert.deepEqual([remains?.version, remains?.about.sockets], ['0.1.0', ['/run/s.sock']])
})

test('where there is a list, and where nothing was installed, none is made', (t) => {
  const [listed, bare] = [new Root(temporaryFolder(t)), new Root(temporaryFolder(t))]
  plant(listed)
  writeFileSync(listed.outside('/var/lib/image-resolver/install.json'), '{}')

  assert.equal(remainsOf(listed), undefined)
  assert.equal(remainsOf(bare, { socket: '/run/s.sock', hosts: [] }), undefined)
})
