import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { messageOf } from '../../src/errors.ts'
import { CONTAINERD, KUBEADM_FILES, packagedNode } from '../support/packaged-node.ts'
import { makeFolder, removeFolder } from '../support/stack.ts'

const SECRET = 'Zq7Xw9Kv3Hj5'
const ENDPOINT = /\+unix:\/\/\/var\/run\/image-cri-shim\.sock\n/
const BACK = /^-unix:\/\/\/var\/run\/image-cri-shim\.sock$/m

/** Lines of YAML that hold the secret, each in another shape. */
const yamlLines = fc.constantFrom(
  `token: ${SECRET}\n`,
  `? token\n: ${SECRET}\n`,
  `? ${SECRET}\n: x\n`,
  `"to\\u006ben": "${SECRET}"\n`,
  `plain: |\n  ${SECRET}\n  ${SECRET}\n`,
  `folded: >-\n  a\n  ${SECRET}\n`,
  `anchored: &a ${SECRET}\nalias: *a\n`,
  `&k key: {a: [${SECRET}, b]}\n`,
  `# ${SECRET}\n`,
  `list:\n- ${SECRET}\n- name: ${SECRET}\n`,
  `quoted: 'a\n  ${SECRET}'\n`,
  `x: !!str ${SECRET}\n`,
  `broken: [${SECRET}\n`,
  `${SECRET}\n`,
  `---\n${SECRET}: x\n`,
)
/** Of a unit, or of a file of an environment. */
const settingLines = fc.constantFrom(
  `KUBELET_EXTRA_ARGS=--x=${SECRET}\n`,
  `KUBELET_EXTRA_ARGS="--x ${SECRET}"\n`,
  `KUBELET_EXTRA_ARGS=--v=2 \\\n  --x=${SECRET}\n`,
  `Environment="A=${SECRET}" B=${SECRET}\n`,
  `Environment=KUBELET_EXTRA_ARGS=${SECRET}\n`,
  `ExecStartPre=/bin/login ${SECRET}\n`,
  `A="${SECRET}\n  ${SECRET}"\n`,
  `; ${SECRET}\n`,
  `${SECRET}\n`,
  '[Service]\n',
)
const commands = fc.constantFrom(
  `/usr/bin/kubelet --x=${SECRET}`,
  `/usr/bin/kubelet '--x ${SECRET}' \\\n  --image-service-endpoint=unix://${CONTAINERD} \\\n  ${SECRET}`,
  `/usr/bin/kubelet --config=/k.yaml --x ${SECRET}`,
  `/usr/bin/kubelet --config-dir=/k.d --x "${SECRET}"`,
  `/usr/bin/kubelet $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS ${SECRET}`,
  `/bin/sh -c "exec kubelet --x=${SECRET}"`,
)
const set = fc.constantFrom('', `imageServiceEndpoint: unix://${CONTAINERD}\n`)

const nodes = fc
  .record({
    command: commands,
    mode: fc.constantFrom('images' as const, 'all' as const),
    yaml: fc.array(yamlLines, { minLength: 1, maxLength: 4 }),
    set,
    unit: fc.array(settingLines, { maxLength: 3 }),
    environment: fc.array(settingLines, { maxLength: 3 }),
    isFirst: fc.boolean(),
  })
  .map(({ command, environment, isFirst, mode, set: field, unit, yaml }) => ({
    mode,
    files: {
      ...KUBEADM_FILES,
      '/usr/lib/systemd/system/kubelet.service': `[Service]\n${unit.join('')}EnvironmentFile=-/etc/default/kubelet\nExecStart=${command}\n`,
      '/etc/default/kubelet': environment.join(''),
      '/k.yaml': isFirst ? `${field}${yaml.join('')}` : `${yaml.join('')}${field}`,
      '/k.d/50-site.conf': yaml.join(''),
    },
  }))

test('a secret of kubelet outside of its endpoint is in no dry run and in no error of one', async () => {
  let [shown, backs] = [0, 0]
  await fc.assert(
    fc.asyncProperty(nodes, async ({ files, mode }) => {
      const folder = makeFolder()
      try {
        const node = packagedNode(folder, files)
        const text = await node.describe({ mode }).catch(messageOf)
        if (ENDPOINT.test(text)) shown += 1
        assert.ok(!text.includes(SECRET), text)
        const undone = await node
          .install({ mode })
          .then(() => node.describeUninstall())
          .catch(messageOf)
        if (BACK.test(undone)) backs += 1
        assert.ok(!undone.includes(SECRET), undone)
      } finally {
        await removeFolder(folder)
      }
    }),
    { numRuns: 400 },
  )
  assert.ok(shown > 50 && backs > 50, `${shown} and ${backs} of them were about an edit`)
})
