import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { loadAll } from 'js-yaml'
import { FLAGS, MAIN } from '../support/daemon.ts'
import { CRI_O, startImageRuntime } from '../support/image-runtime.ts'
import { runProgram, startProgram } from '../support/program.ts'
import { findProgram, makeFolder, removeFolder, requireStack } from '../support/stack.ts'

// What the DaemonSet runs, with the arguments that it has, on a folder with the files of a node. Its systemctl is a
// script that starts and stops the real service in there.

const ROOT = resolve(import.meta.dirname, '../..')
const TOOLS = ['sh', 'readlink', 'sleep', 'rm', 'cat']

const SYSTEMCTL = `#!/bin/sh
stop() {
  [ -e /state/pid ] || return 0
  pid=$(cat /state/pid)
  kill "$pid"
  while kill -0 "$pid" 2>/state/null; do sleep 0.05; done
  rm /state/pid
}
case "$1 $2 $4" in
is-system-running*) echo running ;;
'show --property=ActiveState image-resolver.service') if [ -e /state/pid ]; then echo active; else echo inactive; fi ;;
'show --property=ActiveState '*) echo active ;;
'show --property=ExecMainStartTimestampMonotonic '*) cat /state/kubelet ;;
'restart image-resolver.service '*)
  stop
  /opt/image-resolver/current/bin/image-resolver --config /etc/image-resolver.yaml >>/state/log 2>&1 &
  echo $! >/state/pid
  ;;
'restart kubelet.service '*)
  /opt/image-resolver/current/node -p '\`\${process.hrtime.bigint() / 1000n}\`' >/state/kubelet
  ;;
stop*) stop ;;
esac
`

/** Copies programs and the libraries that they are linked with. */
async function plantPrograms(root: string): Promise<void> {
  for (const name of TOOLS) {
    const from = findProgram(name) ?? assert.fail(name)
    cpSync(from, join(root, 'bin', name), { dereference: true })
  }
  for (const program of [process.execPath, ...TOOLS.map((name) => findProgram(name) ?? '')]) {
    const linked = await runProgram('ldd', [program])
    for (const [, path = ''] of linked.matchAll(/(\/\S+) \(0x/g)) {
      if (!existsSync(join(root, path))) cpSync(path, join(root, path), { dereference: true })
    }
  }
}

function plant(root: string, path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
  chmodSync(join(root, path), mode)
}

/** Path, mode, owner and content of everything but sockets and what the script keeps. */
function snapshot(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/^(?:state|run|dev)(?:\/|$)/.test(name))
    .sort()
    .map((name) => {
      const stats = lstatSync(join(root, name))
      const content = stats.isFile()
        ? createHash('sha256')
            .update(readFileSync(join(root, name)))
            .digest('hex')
        : stats.isSymbolicLink()
          ? readlinkSync(join(root, name))
          : ''
      return `${name} ${stats.mode.toString(8)} ${stats.uid}:${stats.gid} ${content}`
    })
}

interface Rendered {
  readonly kind: string
  readonly data: Readonly<Record<string, string>>
  readonly spec: {
    readonly template: {
      readonly spec: { readonly containers: readonly { readonly args: readonly string[] }[] }
    }
  }
}

test('the DaemonSet installs the service on its node, and puts the node back when the service does not stay ready', async (t) => {
  if (!requireStack(t, ['chroot', 'ldd', ...TOOLS])) return
  const root = makeFolder()
  t.after(async () => {
    await runProgram('chroot', [root, 'systemctl', 'stop'])
    await removeFolder(root)
  })
  const objects = loadAll(
    readFileSync(join(ROOT, 'deploy/kubernetes/node/node.yaml'), 'utf8'),
  ) as Rendered[]
  const of = (kind: string) => objects.find((each) => each.kind === kind) ?? assert.fail(kind)
  await plantPrograms(root)
  plant(root, 'bin/systemctl', SYSTEMCTL, 0o755)
  plant(root, 'dev/null', '')
  plant(root, 'state/kubelet', '1\n')
  for (const folder of ['etc/systemd/system', 'usr/local/bin', 'var/lib', 'var/cache', 'opt']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  const kubelet = 'var/lib/kubelet/config.yaml'
  plant(root, kubelet, '# ours\nkind: KubeletConfiguration\n', 0o600)
  plant(
    root,
    'etc/systemd/system/kubelet.service',
    '[Service]\nExecStart=/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml\n',
  )
  mkdirSync(join(root, 'run/containerd'), { recursive: true })
  const runtime = await startImageRuntime(t, join(root, 'run/containerd/containerd.sock'), CRI_O)
  const before = snapshot(root)
  // In the place of the volumes of the pod.
  plant(root, 'state/secrets/harbor/password', 'secret')
  const config = of('ConfigMap').data['image-resolver.yaml'] ?? ''
  plant(
    root,
    'state/config.yaml',
    `cri: /run/containerd/containerd.sock\nshim: /run/shim.sock\n${config.replace('127.0.0.1:9430', 'unix:///run/http.sock')}`,
  )
  const args = of('DaemonSet').spec.template.spec.containers[0]?.args ?? []
  const here = args.map((each) =>
    each
      .replace('=/host', `=${root}`)
      .replace('=/config/image-resolver.yaml', `=${root}/state/config.yaml`)
      .replace('=/secrets', `=${root}/state/secrets`)
      // Longer than a busy machine keeps it from being ready.
      .replace(/^--watch=.*/, '--watch=8'),
  )

  const pod = startProgram(process.execPath, [...FLAGS, ...MAIN, ...here])
  t.after(() => pod.stop())
  await pod.line(/: installed$/m)

  assert.match(
    readFileSync(join(root, kubelet), 'utf8'),
    /imageServiceEndpoint: unix:\/\/\/run\/shim/,
  )
  const secret = join(root, 'etc/image-resolver/secrets/harbor/password')
  assert.equal(readFileSync(secret, 'utf8'), 'secret')
  assert.equal(statSync(secret).mode & 0o777, 0o600)
  assert.ok(statSync(join(root, 'run/shim.sock')).isSocket())
  assert.ok(Number(readFileSync(join(root, 'state/kubelet'), 'utf8')) > 1, 'kubelet was restarted')

  await runtime.fake.stop()
  await pod.line(/^put back, since it was not ready for \d+ s$/m)

  assert.deepEqual(snapshot(root), before)
  assert.equal(existsSync(join(root, 'state/pid')), false)
  await pod.stop()
  assert.equal(pod.exitCode(), 0)
})
