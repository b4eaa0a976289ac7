import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { dump, load, loadAll } from 'js-yaml'
import { manifests } from '../../scripts/manifests.ts'
import { buildChart } from '../../scripts/release/packages.ts'
import { COMMANDS } from '../../src/cli/command-table.ts'
import { kubeletOf, waitOf, watchOf } from '../../src/cli/commands/install.ts'
import { readArguments } from '../../src/cli/options.ts'
import { createCertificate } from '../support/certificate.ts'
import {
  CHART,
  one,
  type PodSpec,
  PROGRAMS,
  podOf,
  type Rendered,
  ROOT,
  ran,
  render,
  VERSION,
} from '../support/chart.ts'
import { loadText } from '../support/config.ts'
import { listen } from '../support/listen.ts'
import { runProgram } from '../support/program.ts'
import { findProgram, requireStack, temporaryFolder } from '../support/stack.ts'

/** Everything that the chart has, at once. */
const ALL = {
  image: { repository: 'registry.corp/tools/image-resolver', digest: `sha256:${'a'.repeat(64)}` },
  imagePullSecrets: [{ name: 'pull' }],
  config: {
    registries: [
      {
        address: 'https://harbor.corp',
        username: 'robot',
        passwordFile: '/etc/image-resolver/secrets/harbor/password',
      },
    ],
    cache: { shared: { url: 'redis://127.0.0.1:6379' } },
  },
  secrets: [{ name: 'harbor', secretName: 'harbor-robot' }],
  resolver: {
    tls: { existingSecret: 'tls' },
    admission: {
      enabled: true,
      caBundle: 'Y2E=',
      annotations: { 'cert-manager.io/inject-ca-from': 'tools/resolver' },
    },
    autoscaling: { enabled: true },
    networkPolicy: {
      enabled: true,
      from: [{ namespaceSelector: {} }],
      egress: [{ ports: [{ port: 443, protocol: 'TCP' }] }],
    },
    service: { annotations: { a: 'b' } },
    priorityClassName: 'high',
    podAnnotations: { a: 'b' },
    podLabels: { a: 'b' },
    nodeSelector: { a: 'b' },
    affinity: { podAntiAffinity: {} },
    tolerations: [{ operator: 'Exists' }],
    extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy.corp:3128' }],
    extraVolumes: [{ name: 'ca', configMap: { name: 'ca' } }],
    extraVolumeMounts: [{ name: 'ca', mountPath: '/ca' }],
  },
  node: {
    enabled: true,
    listen: '0.0.0.0:9430',
    kubelet: 'all',
    runtimeEndpoint: '/run/containerd/containerd.sock',
    maxUnavailable: '5%',
    affinity: { nodeAffinity: {} },
    podAnnotations: { a: 'b' },
    podLabels: { a: 'b' },
  },
  monitoring: {
    labels: { release: 'prometheus' },
    serviceMonitor: { enabled: true },
    prometheusRule: { enabled: true },
    dashboard: { enabled: true },
  },
}

const NODE = { resolver: { enabled: false }, node: { enabled: true } }
const MODES: Readonly<Record<string, object>> = {
  resolver: {},
  node: NODE,
  both: { node: { enabled: true } },
  all: ALL,
}

for (const [mode, values] of Object.entries(MODES)) {
  test(`the chart with the values of ${mode} is what helm and an API server take`, async (t) => {
    if (!requireStack(t, PROGRAMS)) return
    const { objects, text } = await render(values)

    ran('helm', ['lint', CHART, '--strict', ...VERSION, '--values', '-'], dump(values))
    assert.equal(ran('validate-manifests', [], text), `${objects.length} objects\n`)
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    assert.equal(new Set(names).size, names.length)
  })

  test(`the configuration that the chart writes with the values of ${mode} loads`, async (t) => {
    if (!requireStack(t, PROGRAMS)) return
    const { objects } = await render(values)
    const configs = objects.flatMap(({ data }) => data?.['image-resolver.yaml'] ?? [])

    assert.ok(configs.length > 0)
    // Without `resolver.tls` that is so, and docs/kubernetes.md says it.
    for (const text of configs) {
      const { warnings } = loadText(text)
      const isClear = text.includes('listen: 0.0.0.0') && !text.includes('tls:')
      const said = isClear ? [/the token crosses the network in the clear/] : []
      assert.equal(warnings.length, said.length, warnings.join())
      for (const [index, pattern] of said.entries()) assert.match(warnings[index] ?? '', pattern)
    }
  })
}

test('the archive of the chart has the same bytes each time, and renders what its folder does', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const options = { root: ROOT, version: '0.1.0', epoch: 1_700_000_000, effort: 'quick' } as const
  const before = process.umask()
  t.after(() => process.umask(before))
  const files: string[] = []
  for (const mask of [0o022, 0o077]) {
    process.umask(mask)
    files.push(await buildChart({ ...options, out: temporaryFolder(t) }))
  }
  const [file = '', other = ''] = files

  assert.deepEqual(readFileSync(file), readFileSync(other))
  const args = ['template', 'cluster', file, '--namespace', 'tools', ...VERSION, '--values', '-']
  assert.equal(withoutToken(ran('helm', args, dump(ALL))), withoutToken((await render(ALL)).text))
})

/** Each rendering without a cluster makes another one. */
function withoutToken(text: string): string {
  return text.replace(/^ {2}token: .*$/m, '')
}

test('what validates the manifests refuses an unknown field, a wrong type and a rule of a kind', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { text } = await render({})
  const mistakes = [
    ['periodSeconds: 10', 'periodSecond: 10', /unknown field/],
    ['replicas: 2', 'replicas: two', /cannot unmarshal/],
    ['maxSurge: 1', 'maxSurge: 0', /may not be 0 when `maxSurge` is 0/],
    ['apiVersion: policy/v1\n', 'apiVersion: policy/v1beta9\n', /no kind/],
  ] as const

  for (const [right, wrong, said] of mistakes) {
    assert.ok(text.includes(right), right)
    assert.throws(() => ran('validate-manifests', [], text.replace(right, wrong)), said)
  }
})

test('the resolver has nothing of the host, no right of root and no token of the API server', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  for (const values of [MODES['resolver'] ?? {}, ALL]) {
    const { objects } = await render(values)
    const pod = podOf(one(objects, 'Deployment'))

    assert.equal(pod.automountServiceAccountToken, false)
    assert.equal(pod.hostNetwork ?? pod.hostPID, undefined)
    assert.deepEqual(
      pod.volumes.filter(({ hostPath }) => hostPath !== undefined),
      [],
    )
    assert.deepEqual(pod.containers[0]?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    })
  }
})

test('the webhook of the chart leads to the route of its service, by https alone, and spares what it needs', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { objects } = await render(ALL)
  const service = one(objects, 'Service').metadata.name
  const { webhooks } = one(objects, 'MutatingWebhookConfiguration') as unknown as {
    readonly webhooks: readonly {
      readonly clientConfig: { readonly service: object; readonly caBundle: string }
      readonly failurePolicy: string
      readonly namespaceSelector: { readonly matchExpressions: readonly { values: string[] }[] }
    }[]
  }
  const [webhook = assert.fail()] = webhooks
  const config = one(objects, 'ConfigMap', service).data['image-resolver.yaml'] ?? ''

  assert.deepEqual(webhook.clientConfig, {
    service: { namespace: 'tools', name: service, path: '/admission/pin', port: 9430 },
    caBundle: 'Y2E=',
  })
  assert.equal(webhook.failurePolicy, 'Ignore')
  assert.deepEqual(webhook.namespaceSelector.matchExpressions[1]?.values, ['kube-system', 'tools'])
  assert.equal(loadText(config).config.admission.enabled, true)
  assert.ok(!(await render({})).text.includes('MutatingWebhook'))
  await assert.rejects(
    render({ resolver: { admission: { enabled: true } } }),
    /needs resolver\.tls/,
  )
})

test('the node mode calls install as the command line takes it, and watches what its probe asks', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  for (const values of [NODE, ALL]) {
    const { objects } = await render(values)
    const pod = podOf(one(objects, 'DaemonSet', 'cluster-image-resolver-node'))
    const [container = assert.fail()] = pod.containers
    const { positionals, values: given } = readArguments(container.args ?? [])
    const config = one(objects, 'ConfigMap', 'cluster-image-resolver-node')
    const { http } = loadText(config.data['image-resolver.yaml'] ?? '').config

    assert.deepEqual(positionals, ['install'])
    for (const name of Object.keys(given)) {
      assert.ok(
        COMMANDS['install']?.options.some((option) => option === name),
        name,
      )
    }
    assert.ok((watchOf(given) ?? 0) > waitOf(given))
    kubeletOf(given)
    const mounted = (path: string) =>
      container.volumeMounts.some(({ mountPath }) => path.startsWith(mountPath))
    assert.ok(
      container.volumeMounts.some((each) => each.mountPath.startsWith(given.secrets ?? '?')),
    )
    for (const path of [given.root, given.config]) assert.ok(mounted(path ?? ''), path)
    assert.ok(http.listen.endsWith(`:${container.readinessProbe.httpGet?.port}`))
    // The files that the configuration names are among those that are brought along.
    const { tokenFile } = http
    if (tokenFile !== undefined) {
      assert.ok(mounted(tokenFile.replace('/etc/image-resolver/secrets', given.secrets ?? '')))
    }
    assert.equal(pod.automountServiceAccountToken, false)
  }
})

test('an uninstallation puts back the nodes that were chosen, and helm waits for it', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { objects } = await render({ ...ALL, resolver: { enabled: false } })
  const [installs, uninstalls] = ['node', 'uninstall'].map((mode) =>
    podOf(one(objects, 'DaemonSet', `cluster-image-resolver-${mode}`)),
  )
  const hooks = objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'])

  const chosen = (pod: PodSpec | undefined) => [pod?.nodeSelector, pod?.affinity, pod?.tolerations]
  assert.deepEqual(chosen(uninstalls), chosen(installs))
  const [step] = uninstalls?.initContainers ?? []
  const { positionals, values: given } = readArguments(step?.args ?? [])
  assert.deepEqual(positionals, ['uninstall'])
  for (const name of Object.keys(given)) {
    assert.ok(
      COMMANDS['uninstall']?.options.some((option) => option === name),
      name,
    )
  }
  assert.deepEqual(
    new Set(hooks.map(({ metadata }) => metadata.annotations?.['helm.sh/hook'])),
    new Set(['post-delete']),
  )
  const order = hooks
    .map(
      ({ kind, metadata }) =>
        [Number(metadata.annotations?.['helm.sh/hook-weight']), kind] as const,
    )
    .sort(([one], [other]) => one - other)
    .map(([, kind]) => kind)
  assert.deepEqual(order.slice(-2), ['DaemonSet', 'Job'])
})

/** An API server that knows one DaemonSet, in each of these states for one request. */
async function apiServer(t: TestContext, states: readonly object[]) {
  const { cert, key } = createCertificate()
  const asked: string[] = []
  let at = 0
  const server = createServer({ cert, key }, (request, response) => {
    asked.push(`${request.headers.authorization} ${request.url}`)
    const isPods = request.url?.includes('/pods?') === true
    const pod = (name: string, status: string) => ({
      spec: { nodeName: name },
      status: { conditions: [{ type: 'Ready', status }] },
    })
    const state = states[Math.min(at, states.length - 1)]
    if (!isPods) at += 1
    const body = isPods ? { items: [pod('a', 'True'), pod('b', 'False')] } : state
    response.writeHead(state === undefined ? 500 : 200).end(JSON.stringify(body))
  })
  const { host } = await listen(t, server)
  return { host, asked, cert }
}

test('the hook ends when every node is done, and says which is not', async (t) => {
  const account = temporaryFolder(t)
  const daemonSet = (observedGeneration: number, ready: number) => ({
    metadata: { generation: 2 },
    spec: { selector: { matchLabels: { a: 'b' } } },
    status: { observedGeneration, desiredNumberScheduled: 2, numberReady: ready },
  })
  const { asked, cert, host } = await apiServer(t, [
    // What its controller has not seen yet says nothing.
    daemonSet(1, 2),
    daemonSet(2, 1),
    daemonSet(2, 2),
  ])
  writeFileSync(join(account, 'ca.crt'), cert)
  writeFileSync(join(account, 'token'), 'secret-token\n')
  writeFileSync(join(account, 'namespace'), 'tools')
  const [address = '', port = ''] = host.split(':')

  const said = await runProgram(
    process.execPath,
    [join(CHART, 'files/wait.mjs'), 'uninstall', account],
    {
      KUBERNETES_SERVICE_HOST: address,
      KUBERNETES_SERVICE_PORT: port,
      NODE_EXTRA_CA_CERTS: join(account, 'ca.crt'),
    },
  )

  assert.deepEqual(said.trim().split('\n'), [
    'pods are not made yet',
    '1 of 2 nodes are done; not yet: b',
    'all nodes are done',
  ])
  const path = '/apis/apps/v1/namespaces/tools/daemonsets/uninstall'
  assert.equal(asked[0], `Bearer secret-token ${path}`)
})

test('a digest wins over the tag, a change of the configuration replaces pods, and secrets are files beside it', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const [some, other] = [await render(ALL), await render({ ...ALL, config: { debug: true } })]
  const deployment = one(some.objects, 'Deployment')
  const pod = podOf(deployment)

  assert.equal(pod.containers[0]?.image, `${ALL.image.repository}@${ALL.image.digest}`)
  const [sum = '', changed] = [some, other].map(
    ({ text }) => /checksum\/config: (\w{64})/.exec(text)?.[1],
  )
  assert.match(sum, /^\w{64}$/)
  assert.notEqual(sum, changed)
  const mounts = pod.containers[0]?.volumeMounts ?? []
  const { passwordFile } = ALL.config.registries[0] ?? assert.fail()
  assert.ok(mounts.some(({ mountPath }) => passwordFile.startsWith(`${mountPath}/`)))
})

test('what the chart says of its own address wins over the configuration', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { objects } = await render({ config: { http: { listen: '127.0.0.1:1', rateLimit: 7 } } })
  const { data } = one(objects, 'ConfigMap')

  assert.deepEqual((load(data['image-resolver.yaml'] ?? '') as { http: object }).http, {
    listen: '0.0.0.0:9430',
    rateLimit: 7,
    tokenFile: '/run/secrets/image-resolver/token',
  })
})

test('a value that does not exist, or is of another kind, is refused with its name', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const refused = [
    [{ resolver: { replica: 3 } }, /resolver.*replica/s],
    [{ image: { digest: 'sha256:abc' } }, /image\.digest/],
    [{ secrets: [{ name: 'x' }] }, /secretName/],
  ] as const

  for (const [values, said] of refused) await assert.rejects(render(values), said)
})

test('the alerts of the chart are those of deploy/prometheus, under the job that they look for', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { objects } = await render(ALL)
  const monitor = one(objects, 'ServiceMonitor').spec as { readonly jobLabel: string }
  const { metadata } = one(objects, 'Service')

  const alerts = load(readFileSync(join(ROOT, 'deploy/prometheus/alerts.yaml'), 'utf8'))
  assert.deepEqual(one(objects, 'PrometheusRule').spec, alerts)
  assert.equal(metadata.labels[monitor.jobLabel], 'image-resolver')
  const dashboard = one(objects, 'ConfigMap', 'cluster-image-resolver-dashboard')
  assert.deepEqual(
    JSON.parse(dashboard.data['image-resolver.json'] ?? ''),
    JSON.parse(readFileSync(join(ROOT, 'deploy/grafana/image-resolver.json'), 'utf8')),
  )
})

test('what is made of other files below deploy and docs is as npm run manifests writes it', async (t) => {
  if (!requireStack(t, PROGRAMS)) return

  for (const [path, text] of manifests(findProgram('helm') ?? '')) {
    assert.equal(readFileSync(join(ROOT, path), 'utf8'), text, `${path}: npm run manifests`)
  }
})

test('every value has a default, and the chart the version of the package', () => {
  const chart = load(readFileSync(join(CHART, 'Chart.yaml'), 'utf8')) as Record<string, string>
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const page = readFileSync(join(ROOT, 'docs/kubernetes.md'), 'utf8')

  assert.deepEqual([chart['version'], chart['appVersion']], [version, version])
  const rows = [...page.matchAll(/^\| `([\w.]+)` \| `(.*?)` \| (.+) \|$/gm)]
  assert.ok(rows.length > 40, `${rows.length} rows`)
  for (const [row, , value] of rows) assert.ok(value !== 'undefined', row)
})

test('an overlay of kustomize gives the plain manifests its image and configuration', async (t) => {
  if (!requireStack(t, [...PROGRAMS, 'kustomize'])) return
  const folder = temporaryFolder(t)
  const base = join(folder, 'image-resolver/deploy/kubernetes')
  cpSync(join(ROOT, 'deploy/kubernetes'), base, { recursive: true })
  const page = readFileSync(join(ROOT, 'docs/kubernetes.md'), 'utf8')
  const [, overlay = ''] = /```yaml\n# kustomization\.yaml\n([\s\S]*?)```/.exec(page) ?? []
  mkdirSync(join(folder, 'overlay'))
  writeFileSync(join(folder, 'overlay/kustomization.yaml'), overlay)
  writeFileSync(join(folder, 'overlay/image-resolver.yaml'), 'debug: true\n')

  const text = await runProgram('kustomize', ['build', join(folder, 'overlay')])

  const objects = loadAll(text) as Rendered[]
  assert.equal(ran('validate-manifests', [], text), `${objects.length} objects\n`)
  const pod = podOf(one(objects, 'Deployment'))
  assert.equal(pod.containers[0]?.image, 'registry.corp/tools/image-resolver:0.1.0')
  const config = one(objects, 'ConfigMap')
  assert.deepEqual(config.data, { 'image-resolver.yaml': 'debug: true\n' })
  assert.ok(JSON.stringify(pod.volumes).includes(config.metadata.name))
  assert.deepEqual(
    [...new Set(objects.map((each) => (each.metadata as { namespace?: string }).namespace))],
    ['image-resolver'],
  )
})
