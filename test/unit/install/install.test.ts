import assert from 'node:assert/strict'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findKubelet, leadingTo } from '../../../src/install/kubelet.ts'
import { nodeStatus } from '../../../src/install/status.ts'
import { CONTAINERD, KUBEADM_FILES, packagedNode } from '../../support/packaged-node.ts'
import { temporaryFolder } from '../../support/stack.ts'

const EXTRA = '/etc/default/kubelet'
const [OLD, NEW] = ['/run/old.sock', '/run/new.sock']

/** kubeadm's, with an argument of the operator in the file for them. */
function nodeWithExtraArgs(t: TestContext) {
  const extra = { [EXTRA]: 'KUBELET_EXTRA_ARGS=--v=2\n' }
  return packagedNode(temporaryFolder(t), { ...KUBEADM_FILES, ...extra })
}

test('kubelet is led back from the socket of each installation, and what others wrote meanwhile stays', async (t) => {
  const node = nodeWithExtraArgs(t)
  node.configure({ shim: OLD })
  await node.install()
  node.write(EXTRA, `${node.read(EXTRA)}# of the operator\n`)
  node.configure({ shim: NEW })
  await node.install()
  const led = node.read(EXTRA)
  node.said()

  const isWhole = await node.uninstall()

  assert.match(led, /--image-service-endpoint=unix:\/\/\/run\/new\.sock\n# of the operator\n$/)
  assert.equal(
    node.read(EXTRA),
    `KUBELET_EXTRA_ARGS=--v=2 --image-service-endpoint=unix://${CONTAINERD}\n# of the operator\n`,
  )
  assert.equal(isWhole, false)
  const backup = `${EXTRA}.before-image-resolver`
  assert.equal(node.read(backup), 'KUBELET_EXTRA_ARGS=--v=2\n')
  assert.ok(
    node
      .said()
      .includes(`${EXTRA}: left, since it was changed by others; as it was before: ${backup}`),
  )
})

test('a kubelet that was led back by hand to the socket of an earlier installation is led away from it', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  node.configure({ shim: OLD })
  await node.install()
  const first = node.read(EXTRA)
  node.configure({ shim: NEW })
  await node.install()
  node.write(EXTRA, `# back\n${first}`)

  await node.uninstall()

  assert.match(
    node.read(EXTRA),
    /--image-service-endpoint=unix:\/\/\/run\/containerd\/containerd\.sock\n/,
  )
})

test('uninstall is an error where kubelet leads to the service, and the list of what was installed is lost', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  const unit = '/usr/lib/systemd/system/image-resolver.socket'
  node.write(unit, `[Socket]\nListenStream=${OLD}\n`)
  node.configure({ shim: OLD })
  await node.install()
  const led = node.read(EXTRA)
  rmSync(node.root.outside('/var/lib/image-resolver'), { recursive: true })

  await assert.rejects(node.uninstall(), {
    code: 'UNAVAILABLE',
    message:
      /kubelet leads to unix:\/\/\/run\/old\.sock.*\/etc\/default\/kubelet:2.*install, .*by hand/,
  })

  assert.equal(node.read(EXTRA), led)
  node.write(EXTRA, '')
  assert.equal(await node.uninstall(), true)
})

test('every file is as it was after a second installation with another socket', async (t) => {
  for (const mode of ['images', 'all'] as const) {
    const node = nodeWithExtraArgs(t)
    node.configure({ shim: OLD })
    const bare = node.snapshot()
    await node.install({ mode })
    node.configure({ shim: NEW })
    await node.install({ mode })
    const kubelet = findKubelet(node.root)
    node.configure({ shim: OLD })

    assert.equal(kubelet && leadingTo(kubelet, NEW), mode)
    assert.equal(await node.uninstall(), true, node.said().join('\n'))
    assert.deepEqual(node.snapshot(), bare)
  }
})

test('uninstall ends with an error where kubelet leads to the service after all, and stops nothing', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  node.configure({ shim: OLD })
  await node.install()
  // In pieces: systemd takes the backslash and the end of line away.
  node.write(
    EXTRA,
    'KUBELET_EXTRA_ARGS=--v=2 \\\n  --image-service-endpoint=unix:///ru\\\nn/old.sock\n',
  )

  await assert.rejects(node.uninstall(), {
    code: 'CONFIG_INVALID',
    message: `${EXTRA}:2: --image-service-endpoint unix://${OLD} is written in a way that is not edited here; set it to unix://${CONTAINERD} by hand`,
  })
  assert.ok(existsSync(node.root.outside('/var/lib/image-resolver/install.json')))
  node.write(EXTRA, `KUBELET_EXTRA_ARGS=--image-service-endpoint=unix://${CONTAINERD}\n`)

  assert.equal(await node.uninstall(), false)
})

test('a file of kubelet that was put back and then changed by others is put back as they left it', async (t) => {
  const node = packagedNode(temporaryFolder(t), {
    ...KUBEADM_FILES,
    [EXTRA]: 'KUBELET_EXTRA_ARGS=\n',
  })
  node.configure({ shim: OLD })
  const bare = node.snapshot()
  await node.install()
  const started = () => process.hrtime.bigint() / 1000n
  const kubelet = { at: started() }
  const manager = {
    name: 'systemctl',
    run: async (...args: readonly string[]) =>
      args.includes('--property=ActiveState')
        ? 'active'
        : args[0] === 'show'
          ? `${kubelet.at}`
          : '',
  }
  await assert.rejects(node.uninstall({ manager }), { code: 'UNAVAILABLE', message: /still uses/ })
  node.write(EXTRA, 'KUBELET_EXTRA_ARGS=--v=4\n')
  await node.install()

  assert.equal(await node.uninstall(), true, node.said().join('\n'))
  assert.deepEqual(
    node.snapshot(),
    bare.map((line) => line.replace('EXTRA_ARGS=\n', 'EXTRA_ARGS=--v=4\n')),
  )
})

const WINNERS = [
  {
    what: 'a later file of --config-dir',
    files: {
      ...KUBEADM_FILES,
      [EXTRA]: 'KUBELET_EXTRA_ARGS=--config-dir=/etc/kubernetes/kubelet.conf.d\n',
      '/etc/kubernetes/kubelet.conf.d/90-local.conf':
        '# local\nimageServiceEndpoint: &x unix:///x.sock\nother: *x\n',
    },
    message: /90-local\.conf:2: imageServiceEndpoint unix:\/\/\/x\.sock is written in a way/,
  },
  {
    what: 'a second file of the environment',
    files: {
      ...KUBEADM_FILES,
      '/usr/lib/systemd/system/kubelet.service.d/20-site.conf':
        '[Service]\nEnvironmentFile=/etc/site.env\n',
      '/etc/site.env': '# site\nKUBELET_EXTRA_ARGS="--v=4"\n',
    },
    message:
      /^kubelet would not use \/run\/new\.sock: \/etc\/site\.env:2 counts, without --image-service-endpoint; set it to unix:\/\/\/run\/new\.sock there, or take that line away/,
  },
  {
    what: 'a later drop-in with a command of its own',
    files: {
      '/etc/systemd/system/kubelet.service': '[Service]\nExecStart=/usr/bin/kubelet --v=2\n',
      '/etc/systemd/system/kubelet.service.d/90-local.conf':
        '[Service]\nExecStart=\nExecStart=/usr/bin/kubelet --v=4\n',
    },
    message: /90-local\.conf:3 counts, without --image-service-endpoint/,
  },
  {
    what: 'a later file of k3s with arguments of its own',
    files: {
      '/etc/systemd/system/k3s.service': '[Service]\nExecStart=/usr/local/bin/k3s server\n',
      '/etc/rancher/k3s/config.yaml.d/zz-site.yaml': '# site\nkubelet-arg:\n  - max-pods=80\n',
    },
    message: /zz-site\.yaml:2 counts, without --image-service-endpoint/,
  },
] as const

for (const { files, message, what } of WINNERS) {
  test(`${what} that wins is named with its line, and nothing is written`, async (t) => {
    const node = packagedNode(temporaryFolder(t), files)
    node.configure({ shim: NEW, cri: CONTAINERD })
    const bare = node.snapshot()

    await assert.rejects(node.install(), { code: 'CONFIG_INVALID', message })
    assert.deepEqual(node.snapshot(), bare)
  })
}

test('secrets of a node stay when the folder of new ones is not there, and go with an empty one', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'token'), 's3cret')
  const token = '/etc/image-resolver/secrets/token'
  await node.install({ secrets: folder })

  await assert.rejects(node.install({ secrets: join(folder, 'typo') }), { code: 'CONFIG_INVALID' })
  const kept = node.read(token)
  node.said()
  await node.install({ secrets: temporaryFolder(t) })

  assert.equal(kept, 's3cret')
  assert.ok(!existsSync(node.root.outside(token)))
  assert.deepEqual(node.said(), [`${token}: removed`, 'image-resolver 1.0.0: installed'])
})

/** Times of changes are known to the millisecond, and that of a start is told as one of some before it where the machine is busy. */
async function untilClearlyLater(): Promise<void> {
  const from = Date.now()
  while (Date.now() < from + 100) await new Promise(setImmediate)
}

/** Stands for systemd: kubelet runs from its last start on, and the service. */
function systemd() {
  const microseconds = () => `${process.hrtime.bigint() / 1000n}`
  const [calls, started]: [string[], { kubelet: string }] = [[], { kubelet: microseconds() }]
  return {
    calls,
    name: 'systemctl',
    run: async (...args: readonly string[]) => {
      if (args[0] === 'show')
        return args.includes('--property=ActiveState') ? 'active\n' : started.kubelet
      calls.push(args.join(' '))
      if (args.join(' ') === 'restart kubelet.service') {
        await untilClearlyLater()
        started.kubelet = microseconds()
      }
      return ''
    },
  }
}

test('kubelet is restarted when its files were changed after its start, and by no installation after that', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  const manager = systemd()
  const restarts = () =>
    manager.calls.splice(0).filter((call) => call === 'restart kubelet.service').length
  const again = { manager, restartKubelet: true }

  await node.install(again)
  const first = restarts()
  await node.install(again)
  // Of kubelet nothing is changed.
  node.configure({ cri: CONTAINERD })
  await node.install(again)
  const later = restarts()
  node.configure({ shim: NEW })
  await node.install({ manager })
  const told = node.said().filter((line) => line.startsWith('next:'))
  await node.install(again)

  assert.deepEqual([first, later, restarts()], [1, 0, 1])
  assert.deepEqual(told, ['next: systemctl restart kubelet.service'])
})

test('a kubelet that is restarted by hand is started as its unit is by then, after install and before the end of uninstall', async (t) => {
  const unit = '/etc/systemd/system/kubelet.service'
  const node = packagedNode(temporaryFolder(t), {
    [unit]: '[Service]\nExecStart=/usr/bin/kubelet\n',
  })
  node.configure({ shim: NEW, cri: CONTAINERD })
  const manager = systemd()
  const dropIn = node.root.outside(`${unit}.d/20-image-resolver.conf`)
  let isLoaded = false
  const loading = {
    ...manager,
    run: async (...args: readonly string[]) => {
      if (args[0] === 'daemon-reload') isLoaded = existsSync(dropIn)
      return manager.run(...args)
    },
  }

  await node.install({ manager: loading })
  const first = isLoaded
  await manager.run('restart', 'kubelet.service')
  await assert.rejects(node.uninstall({ manager: loading }), { code: 'UNAVAILABLE' })

  assert.deepEqual([first, isLoaded], [true, false])
})

test('a kubelet that was started in the millisecond in which its files were put back is taken for one that uses the service', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  const microseconds = process.hrtime.bigint() / 1000n
  const manager = {
    name: 'systemctl',
    run: async (...args: readonly string[]) =>
      args.includes('--property=ActiveState')
        ? 'active'
        : args[0] === 'show'
          ? `${microseconds}`
          : '',
  }
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  t.mock.method(process.hrtime, 'bigint', () => microseconds * 1000n)
  await node.install()

  await assert.rejects(node.uninstall({ manager }), { code: 'UNAVAILABLE', message: /still uses/ })
})

test('after an upgrade that is put back the service of before is waited for, and what it says is told', async (t) => {
  for (const [looks, told] of [
    [[true, false, true], /what was changed is put back$/],
    [
      [true, false],
      /what was changed is put back, but image-resolver\.service did not get ready: no runtime/,
    ],
  ] as const) {
    const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
    const manager = systemd()
    let look = 0
    const asked: string[] = []
    const readiness = async ({ listen }: { readonly listen: unknown }) => {
      const isReady = looks[Math.min(look, looks.length - 1)] ?? false
      look += 1
      asked.push(JSON.stringify(listen))
      manager.calls.push(`ready: ${isReady}`)
      return { isReady, reason: isReady ? '' : 'no runtime', version: '1.0.0' }
    }
    await node.install({ manager, readiness })
    node.said()
    manager.calls.splice(0)
    const before = node.snapshot()
    node.write('/usr/lib/image-resolver/package.json', JSON.stringify({ version: '1.0.0' }))
    node.configure({ shim: NEW })
    // The configuration is of the operator, and stays.
    const after = before.map((line) =>
      line.replace('{"address":"http://hub.corp:5000"}', node.read('/etc/image-resolver.yaml')),
    )

    await assert.rejects(node.install({ manager, readiness, waitMs: 0, restartKubelet: true }), {
      code: 'UNAVAILABLE',
      message: told,
    })

    assert.deepEqual(node.snapshot(), after)
    assert.ok(!manager.calls.includes('restart kubelet.service'))
    assert.equal(manager.calls.at(-1), `ready: ${looks.at(-1)}`)
  }
})

const UNIT = '/etc/systemd/system/kubelet.service'
const KUBELETS = {
  'of kubeadm, with flags in the files of its environment': KUBEADM_FILES,
  'with endpoints in its file': {
    [UNIT]: '[Service]\nExecStart=/usr/bin/kubelet --config=/k.yaml\n',
    '/k.yaml': `# mine\nimageServiceEndpoint: unix:///run/stargz.sock\ncontainerRuntimeEndpoint: "unix://${CONTAINERD}"\n`,
  },
  'with flags alone': { [UNIT]: '[Service]\nExecStart=/usr/bin/kubelet --v=2\n' },
  'with a drop-in folder': {
    [UNIT]: `[Service]\nExecStart=/usr/bin/kubelet --config-dir=/k.d --container-runtime-endpoint=unix://${CONTAINERD}\n`,
    '/k.d/10-site.conf': 'maxPods: 80\n',
  },
  'of k3s, in front of another runtime': {
    '/etc/systemd/system/k3s.service': '[Service]\nExecStart=/usr/local/bin/k3s server\n',
    '/etc/rancher/k3s/config.yaml': `container-runtime-endpoint: ${CONTAINERD}\n`,
  },
}

function filesOf({ root, snapshot }: ReturnType<typeof packagedNode>): readonly string[] {
  return snapshot().filter((line) => {
    const [path = ''] = line.split(' ')
    return !path.startsWith('var/lib/image-resolver') && !root.isFolder(`/${path}`)
  })
}

for (const [what, files] of Object.entries(KUBELETS)) {
  test(`a kubelet ${what} is switched between its endpoints and back, as if each were the first`, async (t) => {
    const fresh = async (mode: 'images' | 'all') => {
      const node = packagedNode(temporaryFolder(t), files)
      node.configure({ shim: NEW })
      await node.install({ mode })
      return filesOf(node)
    }
    const expected = { images: await fresh('images'), all: await fresh('all') }
    const node = packagedNode(temporaryFolder(t), files)
    node.configure({ shim: NEW })
    const bare = node.snapshot()

    for (const mode of ['all', 'images', 'all', 'images'] as const) {
      const shown = await node.describe({ mode })
      await node.install({ mode })
      const kubelet = findKubelet(node.root)
      assert.equal(kubelet && leadingTo(kubelet, NEW), mode)
      assert.deepEqual(filesOf(node), expected[mode])
      assert.match(shown, /unix:\/\/\/run\/new\.sock/)
      assert.equal(await node.describe({ mode }), '')
      node.said()
      await node.install({ mode })
      assert.deepEqual(node.said(), ['image-resolver 1.0.0: nothing to change'])
    }

    assert.equal(await node.uninstall(), true, node.said().join('\n'))
    assert.deepEqual(node.snapshot(), bare)
  })
}

test('a switch of endpoints that fails is put back to those of before, and all of it after that', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  const bare = node.snapshot()
  const manager = systemd()
  for (const [mode, other] of [
    ['all', 'images'],
    ['images', 'all'],
  ] as const) {
    await node.install({ mode: other, manager })
    const before = node.snapshot()
    const run = async (...args: readonly string[]) => {
      if (args.join(' ') === 'restart kubelet.service') throw new Error('it does not start')
      return manager.run(...args)
    }

    await assert.rejects(
      node.install({ mode, manager: { ...manager, run }, restartKubelet: true }),
      /it does not start/,
    )

    assert.deepEqual(node.snapshot(), before)
  }
  assert.equal(await node.uninstall(), true)
  assert.deepEqual(node.snapshot(), bare)
})

test('calls of images alone lead to the service where others have changed the file that led them all', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  const flags = '/var/lib/kubelet/kubeadm-flags.env'
  node.configure({ shim: NEW, cri: CONTAINERD })
  await node.install({ mode: 'all' })
  node.write(flags, `${node.read(flags)}# of the operator\n`)

  await node.install({ mode: 'images' })

  const kubelet = findKubelet(node.root)
  assert.equal(kubelet && leadingTo(kubelet, NEW), 'images')
  assert.match(node.read(flags), /containerd\.sock"\n# of the operator\n$/)
})

const STATE = '/var/lib/image-resolver'

for (const [what, lost] of [
  ['with its folder', STATE],
  ['alone', `${STATE}/install.json`],
] as const) {
  for (const [kind, files] of Object.entries(KUBELETS)) {
    test(`the list of an installation that was lost ${what} is made again, and every file of a kubelet ${kind} put back`, async (t) => {
      for (const mode of ['images', 'all'] as const) {
        const node = packagedNode(temporaryFolder(t), { ...files, [`${STATE}/x`]: '' })
        rmSync(node.root.outside(STATE), { recursive: true })
        const kubelet = filesOf(node)
        node.configure({ shim: NEW, cri: CONTAINERD })
        await node.install({ mode })
        rmSync(node.root.outside(lost), { recursive: true })
        node.said()

        const shown = await node.describe({ mode })
        await node.install({ mode })
        const [note] = node.said()
        await node.install({ mode })
        const [again] = node.said()
        const isWhole = await node.uninstall()

        assert.match(shown, /^# note: .*install\.json, the list .* is lost, and is made again/)
        assert.match(note ?? '', /^note: .*install\.json, the list .* is lost, and is made again/)
        assert.match(again ?? '', /nothing to change/)
        assert.equal(isWhole, true, node.said().join('\n'))
        assert.deepEqual(withoutOwn(filesOf(node)), withoutOwn(kubelet), mode)
      }
    })
  }
}

/** A package's units may have been enabled by hand. */
function withoutOwn(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => !/^etc\/(?:image-resolver\.yaml|.*\.wants\/)/.test(line))
}

test('a list that is damaged is refused with the way out, which leads there', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBELETS['with endpoints in its file'])
  const kubelet = filesOf(node)
  node.configure({ shim: NEW, cri: CONTAINERD })
  await node.install({ mode: 'images' })
  const list = node.root.outside(`${STATE}/install.json`)
  writeFileSync(list, '{"format": 1, "chan')

  await assert.rejects(
    node.install({ mode: 'images' }),
    /install\.json.* move it away, and .* makes it again$/,
  )
  rmSync(list)
  await node.install({ mode: 'images' })

  assert.equal(await node.uninstall(), true)
  assert.deepEqual(withoutOwn(filesOf(node)), withoutOwn(kubelet))
})

const LIST = `${STATE}/install.json`

for (const [what, damage] of [
  ['sockets of a wrong type', { sockets: 3 }],
  ['no sockets', { sockets: undefined }],
  ['a socket of a wrong type', { sockets: [3] }],
  ['changes of a wrong type', { changes: {} }],
  ['a change of a wrong type', { changes: [null] }],
  ['a change of an unknown part', { changes: [{ path: '/x', before: null, after: null }] }],
  [
    'a state of a wrong type',
    { changes: [{ path: '/x', part: 'unit', before: null, after: { kind: 'link' } }] },
  ],
  ['a runtime of a wrong type', { runtime: {} }],
  ['a time that is none', { kubeletAt: 'yesterday' }],
  ['no version', { version: null }],
] as const) {
  test(`a list with ${what} is refused as a damaged one, by install and by uninstall`, async (t) => {
    const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
    await node.install()
    node.write(LIST, JSON.stringify({ ...JSON.parse(node.read(LIST)), ...damage }))
    const before = node.snapshot()
    const refusal = {
      code: 'CONFIG_INVALID',
      message:
        /^\/var\/lib\/image-resolver\/install\.json, the list .*, cannot be used: .*: move it away, and image-resolver install makes it again$/,
    }

    await assert.rejects(node.install(), refusal)
    await assert.rejects(node.uninstall(), refusal)
    assert.deepEqual(
      [node.snapshot(), node.said().at(-1)],
      [before, 'image-resolver 1.0.0: installed'],
    )
  })
}

for (const text of ['null', '[]', '3', '"x"']) {
  test(`a list that is ${text} is refused, and not taken for none`, async (t) => {
    const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
    node.write(LIST, text)

    await assert.rejects(node.uninstall(), /install\.json, .*cannot be used: format is missing/)
    rmSync(node.root.outside(LIST))
    node.write(`${STATE}/install.pending.json`, text)
    await assert.rejects(node.uninstall(), /pending\.json, .*cannot be used: format is missing/)
  })
}

test('where the list and the copies of kubelet are lost, its endpoint is led back to the runtime', async (t) => {
  const node = nodeWithExtraArgs(t)
  node.configure({ shim: NEW })
  const manager = systemd()
  await node.install()
  rmSync(node.root.outside(`${STATE}/install.json`))
  rmSync(node.root.outside(`${EXTRA}.before-image-resolver`))
  node.said()

  await node.install()
  const notes = node.said()
  await assert.rejects(node.uninstall({ manager }), { code: 'UNAVAILABLE', message: /still uses/ })
  await node.uninstall({ manager, restartKubelet: true })

  assert.match(
    notes.join('\n'),
    /note: \/etc\/default\/kubelet:1: what stood there before unix:\/\/\/run\/new\.sock is not known; uninstall will set it/,
  )
  assert.equal(
    node.read(EXTRA),
    `KUBELET_EXTRA_ARGS=--v=2 --image-service-endpoint=unix://${CONTAINERD}\n`,
  )
})

test('what others have written since stays where the list is lost, too, and the copy of before is named', async (t) => {
  const node = nodeWithExtraArgs(t)
  node.configure({ shim: NEW })
  await node.install()
  node.write(EXTRA, `${node.read(EXTRA)}# of the operator\n`)
  rmSync(node.root.outside(`${STATE}/install.json`))

  await node.install()
  node.said()

  assert.equal(await node.uninstall(), false)
  assert.match(node.said().join('\n'), /kubelet: left, .*kubelet\.before-image-resolver/)
  assert.match(node.read(EXTRA), /--v=2 .*containerd\.sock\n# of the operator\n$/)
})

test('a service that kubelet uses is not stopped where an installation without a list fails', async (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  node.configure({ shim: NEW })
  const manager = systemd()
  await node.install({ manager })
  rmSync(node.root.outside(`${STATE}/install.json`))
  manager.calls.splice(0)
  const readiness = async () => ({ isReady: false, reason: 'no', version: '1.0.0' })

  await assert.rejects(node.install({ manager, readiness }), { code: 'UNAVAILABLE' })

  assert.ok(!manager.calls.some((call) => call.startsWith('stop')), manager.calls.join('\n'))
})

test('a wrapper that hands on a flag which is there by hand is named, and the service installed', async (t) => {
  const flag = `--image-service-endpoint=unix://${NEW}`
  const node = packagedNode(temporaryFolder(t), {
    [UNIT]: `[Service]\nExecStart=/opt/start kubelet ${flag}\n`,
  })
  node.configure({ shim: NEW })
  const status = () =>
    nodeStatus({
      root: node.root,
      socket: NEW,
      http: undefined as never,
      manager: undefined,
      readiness: undefined,
    })

  await node.install()

  assert.match(
    node.said().join('\n'),
    /note: \/etc\/systemd\/system\/kubelet\.service:2: the unit starts \/opt\/start, not kubelet/,
  )
  const led = await status()
  node.write(UNIT, '[Service]\nExecStart=/opt/start kubelet\n')
  const { problems } = await status()
  assert.deepEqual([led.kubelet?.wrapper, led.problems], ['/opt/start', []])
  assert.deepEqual(problems, [
    `kubelet does not lead to ${NEW}, as far as can be seen: its unit starts /opt/start: run image-resolver install`,
  ])
})
