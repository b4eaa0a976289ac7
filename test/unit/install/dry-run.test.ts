import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { textDiff } from '../../../src/install/dry-run.ts'
import { CONTAINERD, KUBEADM_FILES, packagedNode } from '../../support/packaged-node.ts'
import { temporaryFolder } from '../../support/stack.ts'

const EXTRA = '/etc/default/kubelet'
const HOSTS = '/etc/containerd/certs.d/hub.corp:5000'

test('of a file that is replaced the new lines are shown, and how many go', () => {
  const before = '[Unit]\nA=1\nTOKEN=s3cret\n# s3cret\nC=3\n'

  assert.equal(
    textDiff('/f', before, '[Unit]\nA=1\nB=2\nC=3\n'),
    '--- a/f\n+++ b/f\n@@ -3,2 +3,1 @@\n-… (2 lines)\n+B=2\n',
  )
  assert.equal(
    textDiff('/f', before, '[Unit]\nA=1\n'),
    '--- a/f\n+++ b/f\n@@ -3,3 +2,0 @@\n-… (3 lines)\n',
  )
})

test('of a new file every line is shown', () => {
  assert.equal(
    textDiff('/f', undefined, 'A=1\nB=2\n'),
    '--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+A=1\n+B=2\n',
  )
})

test('a dry run of uninstall shows in its order what goes and what is put back, and changes nothing', async (t) => {
  const node = packagedNode(temporaryFolder(t), {
    ...KUBEADM_FILES,
    [EXTRA]: 'KUBELET_EXTRA_ARGS=--token=s3cret\n',
  })
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'token'), 's3cret')
  node.configure({ shim: '/run/s.sock' })
  // Later than the installation, however long that takes.
  const started = `${process.hrtime.bigint() / 1000n + 3_600_000_000n}`
  const run = async (...args: readonly string[]) =>
    args.includes('--property=ActiveState') ? 'active' : args[0] === 'show' ? started : ''
  const manager = { name: 'systemctl', run }
  await node.install({ secrets: folder, hosts: [{ name: 'hub.corp:5000', text: '# ours\n' }] })
  const before = node.snapshot()

  const shown = await node.describeUninstall({ manager, restartKubelet: true })
  const without = await node.describeUninstall({ manager })
  const files = await node.describeUninstall()

  assert.equal(
    shown,
    `--- a${EXTRA}
+++ b${EXTRA}
@@ ${EXTRA}:1 --image-service-endpoint @@
-unix:///run/s.sock
$ systemctl daemon-reload
$ systemctl restart kubelet.service
$ systemctl stop image-resolver.socket image-resolver.service
# /etc/systemd/system/sockets.target.wants/image-resolver.socket: removed
# /etc/systemd/system/sockets.target.wants/: removed
# /etc/systemd/system/multi-user.target.wants/image-resolver.service: removed
# /etc/systemd/system/multi-user.target.wants/: removed
# /etc/systemd/system/: removed
# /etc/systemd/: removed
--- a${HOSTS}/hosts.toml
+++ /dev/null
# ${HOSTS}/: removed
# /etc/containerd/certs.d/: removed
# /etc/containerd/: removed
--- a/etc/image-resolver/secrets/token
+++ /dev/null
# /etc/image-resolver/secrets/: removed
# /etc/image-resolver/: removed
# /var/cache/image-resolver/: removed
# /var/cache/: removed
# /var/lib/image-resolver/: removed
$ systemctl daemon-reload
`,
  )
  assert.match(
    without,
    /\$ systemctl daemon-reload\n# kubelet\.service uses the service: restart it/,
  )
  assert.equal(files, shown.replace(/^\$ .*\n/gm, ''))
  assert.deepEqual(node.snapshot(), before)
})

test('a dry run of uninstall shows what was changed since, the endpoint that is led back, and copies that are put back', async (t) => {
  const unit = '/etc/image-resolver/secrets/token'
  const node = packagedNode(temporaryFolder(t), {
    ...KUBEADM_FILES,
    [EXTRA]: 'KUBELET_EXTRA_ARGS=\n',
    [unit]: 'mine',
  })
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'token'), 's3cret')
  node.configure({ shim: '/run/s.sock' })
  await node.install({ secrets: folder })
  node.write(EXTRA, `# s3cret\n${node.read(EXTRA)}`)

  const shown = await node.describeUninstall()

  assert.ok(
    shown.startsWith(
      `--- a${EXTRA}\n+++ b${EXTRA}\n@@ ${EXTRA}:2 --image-service-endpoint @@\n-unix:///run/s.sock\n+unix://${CONTAINERD}\n`,
    ),
    shown,
  )
  assert.match(
    shown,
    /^# \/etc\/default\/kubelet: left, since .*before: \S+before-image-resolver$/m,
  )
  assert.match(shown, /^--- a(\S+token)\n\+\+\+ b\1\n# as \1\.before-image-resolver is$/m)
  assert.ok(!shown.includes('s3cret'))
})

test('a dry run of uninstall says where nothing was installed, and fails where uninstall would', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  assert.match(await node.describeUninstall(), /^# .* was not installed .*: nothing to do\n$/)
  node.configure({ shim: '/run/s.sock' })
  await node.install()
  node.write(EXTRA, 'KUBELET_EXTRA_ARGS="--image-service-endpoint=unix:///ru"n/s.sock\n')

  await assert.rejects(node.describeUninstall(), { code: 'CONFIG_INVALID' })
  await assert.rejects(node.uninstall(), { code: 'CONFIG_INVALID' })
})

test('a dry run of install shows the secrets and versions that it would remove', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'token'), 's3cret')
  await node.install({ secrets: folder })

  const shown = await node.describe({ secrets: temporaryFolder(t) })

  assert.equal(shown, '# /etc/image-resolver/secrets/token: removed\n')
})
