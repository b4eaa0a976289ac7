import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { dump } from 'js-yaml'
import { ConfigFile } from '../../api/v1/config.ts'
import type { Schema } from '../../api/v1/schema.ts'
import { parseListen } from '../../src/config/values.ts'
import {
  CHART,
  one,
  PROGRAMS,
  podOf,
  type Rendered,
  ROOT,
  ran,
  render,
  VERSION,
} from '../support/chart.ts'
import { loadText } from '../support/config.ts'
import { runProgram } from '../support/program.ts'
import { findProgram, requireStack, temporaryFolder } from '../support/stack.ts'

// What a user may write into values: each of it renders to objects that fit together, or is refused with the way to mend it.

const TLS = {
  cert: '/etc/image-resolver/secrets/tls/tls.crt',
  key: '/etc/image-resolver/secrets/tls/tls.key',
}
const ALL_PEERS = [{ namespaceSelector: {} }]
const EGRESS = [{ ports: [{ port: 443, protocol: 'TCP' }] }]

const PROXY = { name: 'HTTPS_PROXY', value: 'http://proxy.corp:3128' }

/** Every choice of each value stands beside many of the others. */
const CHOICES = {
  mode: ['resolver', 'node', 'both'],
  resolverListen: ['0.0.0.0:9430', '[::]:9430', '0.0.0.0:80', '10.1.2.3:65535'],
  nodeListen: [
    '127.0.0.1:9430',
    '0.0.0.0:9430',
    '[::1]:9431',
    '[::]:9430',
    'localhost:9432',
    '10.0.0.5:9430',
    'unix:///var/run/image-resolver/http.sock',
  ],
  tls: ['none', 'secret', 'config'],
  token: ['', 'mine'],
  key: ['token', 'api.token'],
  policy: ['off', 'on', 'from', 'egress', 'both'],
  events: [false, true],
  monitoring: [true, false],
  mirror: [true, false],
  autoscaling: [false, true],
} as const

type Choice = { [K in keyof typeof CHOICES]: (typeof CHOICES)[K][number] }

/** The same ones each time. */
function choice(index: number): Choice {
  const picked = Object.entries(CHOICES).map(([name, options]) => {
    const [byte = 0] = createHash('sha256').update(`${name} ${index}`).digest()
    return [name, options[byte % options.length]]
  })
  return Object.fromEntries(picked) as Choice
}

function valuesOf(chosen: Choice): object {
  const { events, key, mode, monitoring, nodeListen, policy, resolverListen, tls, token } = chosen
  return {
    config: {
      address: 'https://registry.corp',
      shim: '/run/shim.sock',
      http: { events, ...(tls === 'config' && { tls: TLS }) },
    },
    secrets: [{ name: 'tls', secretName: 'server-tls' }],
    token: { existingSecret: token, key },
    resolver: {
      enabled: mode !== 'node',
      listen: resolverListen,
      mirror: chosen.mirror,
      tls: { existingSecret: tls === 'secret' ? 'tls' : '' },
      autoscaling: { enabled: chosen.autoscaling },
      networkPolicy: {
        enabled: policy !== 'off',
        from: policy === 'from' || policy === 'both' ? ALL_PEERS : [],
        egress: policy === 'egress' || policy === 'both' ? EGRESS : [],
      },
    },
    node: { enabled: mode !== 'resolver', listen: nodeListen },
    monitoring: { serviceMonitor: { enabled: monitoring } },
  }
}

interface Labelled {
  readonly spec: { readonly template: { readonly metadata: { readonly labels: Labels } } }
}
type Labels = Readonly<Record<string, string>>

const labelsOf = (object: Rendered): Labels => (object as Labelled).spec.template.metadata.labels

function selects(selector: Labels, object: Rendered): boolean {
  const labels = labelsOf(object)
  return Object.entries(selector).every(([name, value]) => labels[name] === value)
}

/** A Secret that is rendered has the key; one of the user's is taken to have it. */
function hasToken(
  objects: readonly Rendered[],
  { key, token }: Choice,
  secretName: string,
): boolean {
  if (token !== '') return secretName === token
  const made = objects.find(
    ({ kind, metadata }) => kind === 'Secret' && metadata.name === secretName,
  )
  return made?.data[key] !== undefined
}

function secretOf(pod: ReturnType<typeof podOf>, mountPath: string): string | undefined {
  const mount = pod.containers[0]?.volumeMounts.find((each) => each.mountPath === mountPath)
  const volume = pod.volumes.find(({ name }) => name === mount?.name)
  return (volume as { readonly secret?: { readonly secretName: string } } | undefined)?.secret
    ?.secretName
}

function checkResolver(objects: readonly Rendered[], chosen: Choice): void {
  const deployment = one(objects, 'Deployment')
  const pod = podOf(deployment)
  const [container = assert.fail()] = pod.containers
  const { config } = loadText(
    one(objects, 'ConfigMap', 'cluster-image-resolver').data['image-resolver.yaml'] ?? '',
  )
  const [port = assert.fail()] = container.ports ?? []
  const scheme = chosen.tls === 'none' ? 'HTTP' : 'HTTPS'

  assert.equal(config.http.listen, chosen.resolverListen)
  assert.ok(config.http.listen.endsWith(`:${port.containerPort}`))
  assert.equal(config.http.tls !== undefined, scheme === 'HTTPS')
  assert.equal(config.criExpected, false, 'a pod has no runtime to wait for')
  assert.equal(config.mirror.enabled, chosen.mirror)
  for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
    assert.deepEqual([probe?.httpGet?.port, probe?.httpGet?.scheme], [port.name, scheme])
  }
  assert.equal(config.http.tokenFile, '/run/secrets/image-resolver/token')
  assert.ok(hasToken(objects, chosen, secretOf(pod, '/run/secrets/image-resolver') ?? ''))

  const service = one(objects, 'Service').spec as {
    readonly selector: Labels
    readonly ports: readonly { readonly targetPort: string }[]
  }
  assert.ok(selects(service.selector, deployment))
  assert.equal(service.ports[0]?.targetPort, port.name)

  const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy')
  assert.equal(policies.length, chosen.policy === 'off' ? 0 : 1)
  for (const { spec } of policies as readonly { readonly spec: unknown }[]) {
    const { egress, ingress, podSelector, policyTypes } = spec as {
      readonly podSelector: { readonly matchLabels: Labels }
      readonly policyTypes: readonly string[]
      readonly ingress: readonly {
        readonly ports: readonly { readonly port: string }[]
        readonly from?: object
      }[]
      readonly egress?: object
    }
    assert.ok(selects(podSelector.matchLabels, deployment))
    const node = objects.find(({ kind }) => kind === 'DaemonSet')
    assert.ok(node === undefined || !selects(podSelector.matchLabels, node))
    const isOut = chosen.policy === 'egress' || chosen.policy === 'both'
    assert.deepEqual(policyTypes, isOut ? ['Ingress', 'Egress'] : ['Ingress'])
    assert.deepEqual(egress, isOut ? EGRESS : undefined)
    assert.deepEqual(
      ingress[0]?.ports.map((each) => each.port),
      [port.name],
    )
    const isFrom = chosen.policy === 'from' || chosen.policy === 'both'
    assert.deepEqual(ingress[0]?.from, isFrom ? ALL_PEERS : undefined)
  }
}

function checkNode(objects: readonly Rendered[], chosen: Choice): void {
  const daemonSet = one(objects, 'DaemonSet', 'cluster-image-resolver-node')
  const pod = podOf(daemonSet)
  const [container = assert.fail()] = pod.containers
  const config = loadText(
    one(objects, 'ConfigMap', 'cluster-image-resolver-node').data['image-resolver.yaml'] ?? '',
  ).config
  const where = parseListen(config.http.listen)
  const { exec, httpGet } = container.readinessProbe

  assert.equal(config.http.listen, chosen.nodeListen)
  assert.equal(config.criExpected, true)
  if (where.kind === 'unix') {
    assert.equal(exec?.command.at(-1), '/host/run/image-resolver/http.sock')
    assert.equal(httpGet, undefined)
  } else {
    const here: Record<string, string> = {
      '0.0.0.0': '127.0.0.1',
      '::': '::1',
      localhost: '127.0.0.1',
    }
    assert.deepEqual(httpGet, {
      host: here[where.host] ?? where.host,
      path: '/readyz',
      port: where.port,
      ...(chosen.tls === 'config' && { scheme: 'HTTPS' }),
    })
  }
  const { tokenFile } = config.http
  const isOpen = where.kind === 'tcp' && !/^(?:127\.|localhost|::1)/.test(where.host)
  assert.equal(tokenFile !== undefined, isOpen || chosen.events)
  if (tokenFile !== undefined) {
    assert.equal(tokenFile, '/etc/image-resolver/secrets/image-resolver-token/token')
    assert.ok(hasToken(objects, chosen, secretOf(pod, '/secrets/image-resolver-token') ?? ''))
  }
}

function checkMonitors(objects: readonly Rendered[], chosen: Choice): void {
  const monitors = objects.filter(({ kind }) => /^(?:Service|Pod)Monitor$/.test(kind))
  if (!chosen.monitoring) assert.deepEqual(monitors, [])
  for (const { kind, spec } of monitors as readonly {
    readonly kind: string
    readonly spec: unknown
  }[]) {
    const found = spec as Record<
      string,
      readonly {
        readonly scheme?: string
        readonly authorization: {
          readonly credentials: { readonly name: string; readonly key: string }
        }
      }[]
    >
    const [endpoint = assert.fail()] = found['endpoints'] ?? found['podMetricsEndpoints'] ?? []
    const { key, name } = endpoint.authorization.credentials
    assert.ok(hasToken(objects, chosen, name), name)
    assert.equal(key, chosen.key)
    const isTls = kind === 'ServiceMonitor' ? chosen.tls !== 'none' : chosen.tls === 'config'
    assert.equal(endpoint.scheme, isTls ? 'https' : undefined)
  }
}

test('tokens, probes, policies and monitors fit together whatever is chosen', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const seen = new Set<string>()
  for (let index = 0; index < 42; index += 1) {
    const chosen = choice(index)
    for (const [name, value] of Object.entries(chosen)) seen.add(`${name} ${value}`)
    await t.test(JSON.stringify(chosen), async () => {
      const { objects, text } = await render(valuesOf(chosen))

      assert.equal(ran('validate-manifests', [], text), `${objects.length} objects\n`)
      const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      assert.equal(new Set(names).size, names.length)
      if (chosen.mode !== 'node') checkResolver(objects, chosen)
      if (chosen.mode !== 'resolver') checkNode(objects, chosen)
      checkMonitors(objects, chosen)
    })
  }
  for (const [name, options] of Object.entries(CHOICES)) {
    for (const value of options) assert.ok(seen.has(`${name} ${value}`), `${name} ${value}`)
  }
})

/** Paths of the schema that are secrets, or may hold one, each with a configuration that has one there. */
function secretsIn(schema: Schema, path: string): readonly (readonly [string, unknown])[] {
  if (schema.type === 'object') {
    return Object.entries(schema.properties).flatMap(([key, field]) =>
      secretsIn(field, path === '' ? key : `${path}.${key}`).map(
        ([at, value]) => [at, { [key]: value }] as const,
      ),
    )
  }
  if (schema.type === 'array') {
    return secretsIn(schema.items, `${path}[0]`).map(([at, value]) => [at, [value]] as const)
  }
  const isProxy = path.startsWith('proxy.')
  return 'writeOnly' in schema ? [[path, isProxy ? 'robot:s3cret@proxy.corp:3128' : 's3cret']] : []
}

test('each secret of the configuration is refused, with the field to write instead, and not shown', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const secrets = secretsIn(ConfigFile, '')
  assert.ok(secrets.length >= 7, secrets.map(([path]) => path).join())
  const node = { enabled: true }
  for (const [path, config] of [
    ...secrets,
    ['address', { address: 'https://robot:s3cret@registry.corp' }],
    ['cache.shared.url', { cache: { shared: { url: 'redis://:s3cret@store' } } }],
    ['proxy.https', { proxy: { https: 'http://robot:s3cret@proxy.corp:3128' } }],
  ] as const) {
    for (const [place, values] of [
      ['config', { config }],
      ['resolver.config', { resolver: { config } }],
      ['node.config', { node: { ...node, config }, resolver: { enabled: false } }],
    ] as const) {
      await assert.rejects(render(values), (error: Error) => {
        assert.ok(error.message.includes(`${place}.${path} `), error.message)
        assert.match(error.message, /a Secret|its Secret|passwordFile|secretKeyRef/)
        assert.doesNotMatch(error.message, /s3cret/)
        return true
      })
    }
  }
  const fine = { proxy: { https: 'http://proxy.corp:3128', no: '.corp' }, auth: '' }
  assert.ok((await render({ config: fine })).objects.length > 0)
})

test('values that no cluster could use are refused with their names', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const both = [
    { name: 'a', secretName: 'x' },
    { name: 'a', secretName: 'y' },
  ]
  const refused = [
    [{ resolver: { listen: '127.0.0.1:9430' } }, /resolver\.listen 127\.0\.0\.1:9430 is loopback/],
    [{ resolver: { listen: 'localhost:9430' } }, /is loopback/],
    [{ resolver: { listen: '[::1]:9430' } }, /is loopback/],
    [{ resolver: { listen: '0.0.0.0:0' } }, /resolver.*listen/s],
    [{ resolver: { listen: '0.0.0.0:65536' } }, /resolver.*listen/s],
    [{ resolver: { listen: 'unix:///run/x.sock' } }, /resolver.*listen/s],
    [{ node: { enabled: true, listen: '9430' } }, /node.*listen/s],
    [{ secrets: both }, /secrets\[1\]\.name a is taken, by secrets\[0\]/],
    [
      { secrets: [{ name: 'image-resolver-token', secretName: 'x' }] },
      /secrets\[0\]\.name image-resolver-token is taken, by the token of the chart/,
    ],
    [{ fullnameOverride: 'My_Resolver' }, /fullnameOverride/],
    [{ nameOverride: '-x' }, /nameOverride/],
    [{ token: { key: 'a key' } }, /token.*key/s],
    [{ image: { tag: 'a tag' } }, /image\.tag/],
    // As a key of a values file is with every line below it commented out.
    [{ config: null }, /config is required/],
    [{ token: null }, /token is required/],
    [{ resolver: { config: null } }, /resolver: config is required/],
    [{ resolver: { tls: null } }, /resolver: tls is required/],
    [{ node: { enabled: true, config: null } }, /node: config is required/],
    [{ node: { enabled: true, uninstall: null } }, /node: uninstall is required/],
    [{ monitoring: { dashboard: null } }, /monitoring: dashboard is required/],
    [{ node: { maxUnavailable: '0%' } }, /maxUnavailable/],
    [
      { resolver: { autoscaling: { enabled: true, minReplicas: 3, maxReplicas: 2 } } },
      /minReplicas is above maxReplicas/,
    ],
    [{ resolver: { heapMiB: 320 } }, /heapMiB 320 is not below .*limits\.memory 320Mi/],
    [{ resolver: { resources: { limits: { memory: '0.1Gi' } } } }, /heapMiB 192 is not below/],
    [{ resolver: { resources: { limits: { memory: 2e8 } } } }, /heapMiB 192 is not below/],
    [
      { resolver: { extraEnv: [{ name: 'NODE_OPTIONS', valueFrom: { fieldRef: {} } }] } },
      /extraEnv\[0\] is NODE_OPTIONS/,
    ],
    [
      { resolver: { extraEnv: [{ name: 'NODE_OPTIONS', value: '--max_old_space_size=9' }] } },
      /extraEnv\[0\] is NODE_OPTIONS.* as resolver\.heapMiB/,
    ],
  ] as const

  for (const [values, said] of refused) await assert.rejects(render(values), said)
})

test('a heap below a limit in any unit is taken, and options of Node are added to that of the heap', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  for (const memory of ['1Gi', '0.5G', '400M', 4e8, '1e9', '400000Ki', null]) {
    const resources = { limits: { memory } }
    const { objects } = await render({
      resolver: {
        resources,
        extraEnv: [{ name: 'NODE_OPTIONS', value: '--use-openssl-ca' }, PROXY],
      },
    })
    const [container] = podOf(one(objects, 'Deployment')).containers

    const options = '--max-old-space-size=192 --use-openssl-ca'
    assert.deepEqual(container?.env, [{ name: 'NODE_OPTIONS', value: options }, PROXY], `${memory}`)
  }
})

test('the webhooks of two releases have two names, whatever their namespaces are called', (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const admission = { enabled: true }
  const values = dump({ resolver: { admission, tls: { existingSecret: 'tls' } } })
  const nameOf = (fullname: string, namespace: string) => {
    const more = ['--namespace', namespace, '--set', `fullnameOverride=${fullname}`]
    const args = ['template', 'x', CHART, ...VERSION, ...more, '--values', '-']
    const text = ran(findProgram('helm') ?? '', args, values)
    ran('validate-manifests', [], text)
    return /^kind: MutatingWebhookConfiguration\nmetadata:\n(?: *#.*\n)? {2}name: (\S+)$/m.exec(
      text,
    )?.[1]
  }

  assert.deepEqual([nameOf('a', 'b-c'), nameOf('a-b', 'c')], ['a.b-c', 'a-b.c'])
})

/** What a release with all modes on has, by kind and name. */
function namesOf(release: string, more: readonly string[] = []): readonly string[] {
  const monitoring = {
    serviceMonitor: { enabled: true },
    prometheusRule: { enabled: true },
    dashboard: { enabled: true },
  }
  const values = { node: { enabled: true, listen: '0.0.0.0:9430' }, monitoring }
  const args = ['template', release, CHART, ...VERSION, '--values', '-', ...more]
  const text = ran(findProgram('helm') ?? '', args, dump(values))
  ran('validate-manifests', [], text)
  return [...text.matchAll(/^kind: (\w+)\nmetadata:\n {2}name: (\S+)$/gm)].map(
    ([, kind, name]) => `${kind} ${name}`,
  )
}

test('a release that is called as objects of another one shares none with it, or is refused at its installation', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const names = namesOf('image-resolver')
  const others = [...new Set(names.map((each) => each.replace(/.* /, '')))].filter(
    (name) => name !== 'image-resolver',
  )
  const refused: string[] = []
  for (const other of others) {
    try {
      const shared = namesOf(other).filter((each) => names.includes(each))
      assert.deepEqual(shared, [], other)
    } catch (thrown) {
      if (!/choose another name for the release, or set fullnameOverride/.test(String(thrown)))
        throw thrown
      refused.push(other)
    }
  }

  assert.ok(others.includes('image-resolver-token'), others.join())
  assert.deepEqual(refused.sort(), [
    'image-resolver-dashboard',
    'image-resolver-node',
    'image-resolver-uninstall',
  ])
  for (const name of refused) {
    assert.ok(namesOf(name, ['--is-upgrade']).length > 8, 'one that is there can be upgraded')
    assert.ok(namesOf(name, ['--set', 'fullnameOverride=other']).length > 8)
  }
})

test('releases whose long names begin alike share no object', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const begin = 'a'.repeat(52)
  const [one, other, short] = [namesOf(`${begin}b`), namesOf(`${begin}c`), namesOf('team')]

  assert.ok(one.length > 8, one.join())
  assert.deepEqual(
    one.filter((name) => other.includes(name)),
    [],
  )
  assert.ok(short.includes('Secret team-image-resolver-token'), short.join())
})

test('what npm packs has the whole chart, which renders and is packed by helm as in the repository', async (t) => {
  if (!requireStack(t, [...PROGRAMS, 'npm'])) return
  const folder = temporaryFolder(t)
  await runProgram('npm', ['pack', ROOT, '--ignore-scripts', '--pack-destination', folder], {
    HOME: folder,
  })
  const [archive = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  await runProgram('tar', ['-xzf', join(folder, archive), '-C', folder])
  const packed = join(folder, 'package/deploy/helm/image-resolver')
  const helm = findProgram('helm') ?? ''
  const charts = temporaryFolder(t)
  await runProgram(helm, ['package', packed, '--destination', charts])
  const [chart = ''] = readdirSync(charts)
  const values = {
    token: { existingSecret: 'mine' },
    node: { enabled: true },
    monitoring: {
      serviceMonitor: { enabled: true },
      prometheusRule: { enabled: true },
      dashboard: { enabled: true },
    },
  }
  const filesIn = (at: string) =>
    readdirSync(at, { recursive: true, encoding: 'utf8' })
      .filter((name) => !lstatSync(join(at, name)).isDirectory())
      .sort()

  assert.deepEqual(filesIn(packed), filesIn(CHART))
  for (const name of filesIn(CHART)) {
    assert.ok(lstatSync(join(CHART, name)).isFile(), `${name} is a link`)
    assert.deepEqual(readFileSync(join(packed, name)), readFileSync(join(CHART, name)), name)
  }
  const { objects, text } = await render(values)
  assert.equal((await render(values, packed)).text, text)
  assert.equal((await render(values, join(charts, chart))).text, text)
  assert.ok(JSON.stringify(one(objects, 'PrometheusRule').spec).includes('ImageResolverDown'))
})

test('the loop of docs/kubernetes.md labels a node when the one before it is ready, and stops at one that is not', async (t) => {
  if (!requireStack(t, ['sh', 'xargs', 'cut'])) return
  const page = readFileSync(join(ROOT, 'docs/kubernetes.md'), 'utf8')
  const [, loop = ''] = /```sh\n(kubectl get nodes[\s\S]*?)```/.exec(page) ?? []
  assert.notEqual(loop, '')
  const folder = temporaryFolder(t)
  const log = join(folder, 'log')
  mkdirSync(join(folder, 'bin'))
  const script = (name: string, text: string): void => {
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${text}`)
    chmodSync(join(folder, 'bin', name), 0o755)
  }
  script('sleep', `echo "$*" >/dev/null`)
  script(
    'kubectl',
    `case "$1" in
get) printf 'node/%s\\n' one two bad four ;;
label) echo "label $3 $4" >>${log} ;;
-n) for last; do :; done
  echo "wait $last" >>${log}
  case "$last" in
  *=bad) exit 1 ;;
  *) [ -e ${folder}/"$last" ] || { : >${folder}/"$last"; exit 1; } ;;
  esac ;;
esac
`,
  )

  await assert.rejects(
    runProgram('sh', ['-c', loop], { PATH: `${join(folder, 'bin')}:${process.env['PATH']}` }),
  )

  const lines = readFileSync(log, 'utf8').trim().split('\n')
  assert.deepEqual(lines, [
    ...['one', 'two'].flatMap((node) => [
      `label ${node} image-resolver=yes`,
      `wait spec.nodeName=${node}`,
      `wait spec.nodeName=${node}`,
    ]),
    'label bad image-resolver=yes',
    ...Array.from({ length: 6 }, () => 'wait spec.nodeName=bad'),
  ])
})
