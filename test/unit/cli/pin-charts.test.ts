import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { loadAll } from 'js-yaml'
import type { CliContext } from '../../../src/cli/context.ts'
import { formatReference, parseReference } from '../../../src/reference/reference.ts'
import { openedResolver, runCli } from '../../support/cli.ts'
import { identity } from '../../support/resolver.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** Outputs of charts as people have them: a text, how many references it has, and what is told instead. */
interface Shape {
  readonly name: string
  readonly text: string
  readonly pins: number
  /** `line: what`, of what is passed over or broken. */
  readonly told?: RegExp
  /** No YAML: nothing of it is written. */
  readonly broken?: true
}

const POD = (image: string) => `spec:
  containers:
    - name: web   # the one
      image: ${image}
`
const OBJECT = (kind: string, body: string) =>
  `apiVersion: v1\nkind: ${kind}\nmetadata: {name: web, namespace: shop}\n${body}`
const DEPLOYMENT = (body: string) =>
  `# Source: shop/templates/web.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n${body}`

const SHAPES: readonly Shape[] = [
  { name: 'pod', text: OBJECT('Pod', POD('nginx:1.27')), pins: 1 },
  { name: 'quoted', text: OBJECT('Pod', POD(`"quay.io/team/app:v1.2"`)), pins: 1 },
  { name: 'single quotes', text: OBJECT('Pod', POD(`'docker.io/library/redis:7'`)), pins: 1 },
  { name: 'a port', text: OBJECT('Pod', POD('hub.corp:5000/a/b/c:1')), pins: 1 },
  { name: 'no tag', text: OBJECT('Pod', POD('busybox')), pins: 1 },
  {
    name: 'init containers and an image volume',
    text: DEPLOYMENT(
      '      initContainers: [{name: a, image: busybox:1}, {name: b, "image":"busybox:2"}]\n      containers:\n      - image: app:1\n      volumes:\n      - name: m\n        image: {reference: "models/llm:3"}\n',
    ),
    pins: 4,
  },
  {
    name: 'anchors',
    text: DEPLOYMENT(
      '      containers:\n      - &web\n        name: a\n        image: &image nginx:1.27\n      - <<: *web\n        name: b\n      - name: c\n        image: *image\n',
    ),
    pins: 1,
  },
  {
    name: 'several documents',
    text: `---\n${OBJECT('Pod', POD('a:1'))}---\n# nothing here\n---\n${OBJECT('ConfigMap', 'data: {image: "not:one"}\n')}...\n---\n${OBJECT('Pod', POD('b:1'))}`,
    pins: 2,
  },
  {
    name: 'a list',
    text: `kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  apiVersion: v1\n  spec: {containers: [{image: a:1}]}\n- {kind: Pod, apiVersion: v1, spec: {containers: [{image: b:1}]}}\n`,
    pins: 2,
  },
  {
    name: 'a custom resource definition',
    text: `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: webs.shop}\nspec:\n  versions:\n  - name: v1\n    schema:\n      openAPIV3Schema:\n        description: |\n          image: nginx:1.27 is what it runs\n        properties:\n          containers: {type: array, items: {properties: {image: {type: string, default: x}}}}\n`,
    pins: 0,
    told: /^image-resolver: no image is named there; /,
  },
  {
    name: 'a custom resource with a pod in it',
    text: `apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: w-}\nspec:\n  podSpecPatch: |\n    containers: [{image: "not:read"}]\n  templates:\n  - name: a\n    containers:\n    - image: alpine:3.20\n`,
    pins: 1,
  },
  {
    name: 'a cron job with long lines',
    text: DEPLOYMENT(
      `      containers:\n      - args: ["${'x'.repeat(20_000)}", image=nginx:1]\n        image:    registry.k8s.io/long/${'a'.repeat(120)}:v1   # ${'y'.repeat(5_000)}\n`,
    ),
    pins: 1,
  },
  {
    name: 'values of a chart',
    text: `image:\n  repository: quay.io/team/app\n  tag: 1.10   # not 1.1\n  pullPolicy: IfNotPresent\nsidecar: {image: {registry: docker.io, repository: library/nginx, tag: "1.27"}}\n`,
    pins: 2,
  },
  {
    name: 'values with a digest',
    text: `image:\n  repository: app\n  tag: v1\n  digest: ""\nother:\n  image: redis:7\n`,
    pins: 2,
  },
  {
    name: 'values with a repository of Helm',
    text: `chart:\n  repository: https://charts.corp/stable\n  tag: "1.2"\nimage:\n  repository: nginx\n  tag: "1.27"\n`,
    pins: 1,
    told: /:3:8: passed over: chart is no image: https:\/\/charts\.corp\/stable:1\.2\n/,
  },
  {
    name: 'a kustomization',
    text: `kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nimages:\n- name: nginx\n  newTag: "1.27"\n- newName: hub.corp/app\n  name: app\n  newTag: v2   # kept\n`,
    pins: 2,
  },
  {
    name: 'compose',
    text: `services:\n  web:\n    image: nginx:1.27\n    build: .\n  db: {image: "postgres:16"}\n`,
    pins: 2,
  },
  {
    name: 'variables of compose',
    text: `services:\n  web:\n    image: nginx:\${TAG:-1.27}\n  db:\n    image: postgres:16\n`,
    pins: 1,
    told: /:3:12: passed over: services\.web\.image is a template: /,
  },
  {
    name: 'a template that is no YAML',
    text: `apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  {{- range .Values.containers }}\n  - image: {{ .image }}\n  {{- end }}\n`,
    pins: 0,
    told: /:5:\d+: no valid YAML: /,
    broken: true,
  },
  {
    name: 'a template that is YAML',
    text: OBJECT('Pod', `${POD('"{{ .Values.image }}"')}    - image: nginx:1.27\n`),
    pins: 1,
    told: /:7:14: passed over: Pod shop\/web: spec\.containers\[0\]\.image is a template/,
  },
  // Kinds of objects, and where their images are.
  {
    name: 'a stateful set with comments everywhere',
    text: `# first\n\n${OBJECT('StatefulSet', `# between\nspec: # of it\n  # above\n  template:\n    spec:\n      containers: # all\n      # one\n      - name: db # db\n        # image: postgres:15\n        image: postgres:16 # image: postgres:17\n      # last\n`)}# end\n`,
    pins: 1,
  },
  {
    name: 'a job with a script',
    text: DEPLOYMENT(
      `      containers:\n      - image: bash:5\n        args:\n        - -c\n        - |\n          cat <<EOF\n          image: not:one\n          EOF\n        - >-\n          image:\n          not:two\n      restartPolicy: Never\n`,
    ),
    pins: 1,
  },
  {
    name: 'a cron job',
    text: OBJECT(
      'CronJob',
      'spec:\n  schedule: "*/5 * * * *"\n  jobTemplate: {spec: {template: {spec: {containers: [{image: curl:8, name: "a, b: c"}]}}}}\n',
    ),
    pins: 1,
  },
  {
    name: 'ephemeral containers and a volume of another kind',
    text: OBJECT(
      'Pod',
      'spec:\n  ephemeralContainers:\n  - image: debug:1\n  volumes:\n  - {name: a, emptyDir: {}}\n  - {name: b, image: {reference: data:1, pullPolicy: Always}}\n',
    ),
    pins: 2,
  },
  {
    name: 'manifests within a config map',
    text: `${OBJECT('ConfigMap', `data:\n  pod.yaml: |\n    kind: Pod\n    spec: {containers: [{image: "not:one"}]}\n  other: "image: not:two\\nimage: not:three"\n`)}---\n${OBJECT('Pod', POD('one:1'))}`,
    pins: 1,
  },
  {
    name: 'an image that a trigger sets',
    text: OBJECT(
      'DeploymentConfig',
      'spec:\n  template:\n    spec:\n      containers:\n      - image: " "\n      - image: ""\n      - image:\n      - image: app:1\n',
    ),
    pins: 1,
  },
  {
    name: 'a rollout with a canary',
    text: `apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec:\n  strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}]}}\n  template:\n    metadata: {labels: {image: "v1"}}\n    spec:\n      containers: [ { image: web:1 } , { image: 'proxy:2' } ]\n`,
    pins: 2,
  },
  {
    name: 'a service of Knative',
    text: `apiVersion: serving.knative.dev/v1\nkind: Service\nspec:\n  template:\n    spec:\n      containerConcurrency: 10\n      containers:\n        - image: ghcr.io/team/fn:1@sha256:${'0'.repeat(64)}\n        - image: ghcr.io/team/fn:2\n`,
    pins: 2,
  },
  {
    name: 'a custom resource with an image of its own beside containers',
    text: `apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nspec:\n  image: quay.io/prometheus/prometheus:v3\n  containers:\n  - name: reloader\n    image: quay.io/reloader:v1\n`,
    pins: 1,
  },
  {
    name: 'tasks of Tekton, with steps that --path names',
    text: `apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  steps:\n  - image: golang:1.24\n  sidecars:\n  - image: docker:27\n`,
    pins: 0,
    told: /^image-resolver: no image is named there; /,
  },
  {
    name: 'a Flux release with values',
    text: `apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec:\n  chart: {spec: {chart: web, version: "1.*"}}\n  values:\n    image: {repository: quay.io/team/web, tag: v1}   # web\n    cache:\n      image: redis:7\n`,
    pins: 2,
  },
  {
    name: 'an application of Argo CD with values as an object and as a text',
    text: `apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source:\n    helm:\n      values: |\n        image: {repository: not, tag: read}\n      valuesObject:\n        image:\n          repository: team/web\n          tag: "2.0"\n          digest: ''\n`,
    pins: 1,
  },
  {
    name: 'a webhook and roles without images',
    text: `${OBJECT('ValidatingWebhookConfiguration', `webhooks:\n- {name: a, clientConfig: {caBundle: ${'Q'.repeat(4_000)}}}\n`)}---\n${OBJECT('ClusterRole', 'rules: [{apiGroups: ["image.openshift.io"], resources: [images], verbs: [get]}]\n')}`,
    pins: 0,
    told: /^image-resolver: no image is named there; /,
  },
  // Ways of writing YAML.
  {
    name: 'one line in brackets',
    text: '{kind: Pod, apiVersion: v1, spec: {containers: [{image: a:1}, {image: "b:1"}]}}\n',
    pins: 2,
  },
  {
    name: 'JSON',
    text: `${JSON.stringify({ kind: 'Pod', apiVersion: 'v1', spec: { containers: [{ image: 'a:1' }] } }, null, 2)}\n`,
    pins: 1,
  },
  {
    name: 'JSON in one line, with a null',
    text: '{"kind":"List","apiVersion":"v1","items":[{"kind":"Pod","apiVersion":"v1","spec":{"volumes":null,"containers":[{"image":"a/b:1","name":"{[,"},{"image":"c:1"}]}}]}\n',
    pins: 2,
  },
  {
    name: 'brackets over several lines',
    text: 'kind: Pod\napiVersion: v1\nspec:\n  containers: [\n    {\n      name: a,\n      image: a:1,\n    },\n   ]\n',
    pins: 1,
  },
  {
    name: 'a directive and ends of documents',
    text: `%YAML 1.2\n---\n${OBJECT('Pod', POD('a:1'))}...\n# between\n%YAML 1.2\n--- # second\n${OBJECT('Pod', POD('b:1'))}...\n`,
    pins: 2,
  },
  {
    name: 'many documents, most of them empty',
    text: `---\n---\n\n---\n# Source: a\n---\nnull\n---\n${OBJECT('Pod', POD('a:1'))}---\n~\n--- {kind: Pod, apiVersion: v1, spec: {containers: [{image: b:1}]}}\n---\n`,
    pins: 2,
  },
  {
    name: 'marks of documents within texts',
    text: OBJECT(
      'Pod',
      `${POD('a:1')}      args: ["a --- b"]\n      command:\n      - |\n        ---\n        image: not:one\n      - '---'\n`,
    ),
    pins: 1,
  },
  {
    name: 'explicit and quoted keys',
    text: 'kind: Pod\napiVersion: v1\nspec:\n  "containers":\n  - ? image\n    : a:1\n  - \'image\': b:1\n  - "image" : c:1\n',
    pins: 3,
  },
  {
    name: 'a type and an anchor before the value',
    text: OBJECT(
      'Pod',
      'spec:\n  containers:\n  - image: !!str a:1\n  - image: &b b:1\n  - image: &c !!str "c:1"\n  - image: *b\n',
    ),
    pins: 3,
  },
  {
    name: 'an anchor that is given twice',
    text: OBJECT(
      'Pod',
      'spec:\n  containers:\n  - {image: &i a:1}\n  - {image: *i}\n  - {image: &i b:1}\n  - {image: *i}\n',
    ),
    pins: 2,
  },
  {
    name: 'a value in the line below, and one over two lines',
    text: OBJECT(
      'Pod',
      'spec:\n  containers:\n  - image:\n      a:1\n  - image: "b\\\n      :1"\n  - image: c:1\n',
    ),
    pins: 2,
    told: /:8:12: passed over: Pod shop\/web: spec\.containers\[1\]\.image is written over several lines/,
  },
  {
    name: 'blocks of lines as values',
    text: OBJECT(
      'Pod',
      'spec:\n  containers:\n  - image: |-\n      a:1\n  - image: >-  # folded\n      b:1\n  - image: c:1\n',
    ),
    pins: 1,
    told: /:6:12: passed over: .*\n.*:8:12: passed over: /,
  },
  {
    name: 'signs beyond ASCII',
    text: `# Привет, 世界 🚀\n${OBJECT('Pod', 'spec:\n  containers:\n  - {name: "🚀🚀", env: [{name: Ü, value: "日本"}], image: a:1} # 🎉\n  - image: b:1 # ende – ü\n')}`,
    pins: 2,
  },
  {
    name: 'blanks and tabs at the ends of lines',
    text: 'kind: Pod  \napiVersion: v1\t\nspec:  # x \t\n  containers:\t# y\n  -   image:   a:1  \t # z\n\n\n      name:  a \n   \n',
    pins: 1,
  },
  {
    name: 'a list that is not indented, and one that is far',
    text: 'kind: Pod\napiVersion: v1\nspec:\n  initContainers:\n  - image: a:1\n  containers:\n            -\n              image: b:1\n            - - ignored\n',
    pins: 2,
  },
  // References.
  {
    name: 'images that are pinned already',
    text: OBJECT(
      'Pod',
      `spec:\n  containers:\n  - image: a:1@sha256:${'1'.repeat(64)}\n  - image: b@sha256:${'2'.repeat(64)}\n`,
    ),
    pins: 2,
  },
  {
    name: 'the same image many times',
    text: DEPLOYMENT(
      `      containers:\n${'      - image: docker.io/library/nginx:1.27\n      - image: nginx:1.27\n'.repeat(20)}`,
    ),
    pins: 40,
  },
  {
    name: 'addresses as registries',
    text: OBJECT(
      'Pod',
      'spec: {containers: [{image: "[::1]:5000/a:1"}, {image: "127.0.0.1:5000/a/b"}, {image: localhost/c:1}]}\n',
    ),
    pins: 3,
  },
  {
    name: 'variables of a pipeline',
    text: OBJECT(
      'Pod',
      `spec:\n  containers:\n  - image: app:\${CI_COMMIT}\n  - image: $(IMAGE)\n  - image: "<%= image %>"\n  - image: b:1\n`,
    ),
    pins: 1,
    told: /:6:12: passed over: (?:.*\n){2}.*:8:12: passed over: .* is a template: <%= image %>\n$/,
  },
  // Charts, kustomizations and compose files.
  {
    name: 'values with registries kept apart and numbers as tags',
    text: 'global: {imageRegistry: ""}\na:\n  image:\n    registry: quay.io/\n    repository: team/a\n    tag: 8\nb: {registry: "hub.corp:5000", repository: team/b, tag: 1.20}\nc: {repository: team/c, tag: null}\n',
    pins: 2,
  },
  {
    name: 'values with comments between their fields',
    text: `# -- the image\nimage:\n  # -- where\n  repository: team/a # x\n\n  # -- which\n  tag: v1 # y\n  # -- digest\n  digest: '' # z\nlist:\n- name: b\n  image: {tag: "2", repository: team/b, digest: ''}\n`,
    pins: 2,
  },
  {
    name: 'values in which images share a tag',
    text: 'tag: &tag v1\na: {repository: team/a, tag: *tag}\nb: {repository: team/b, tag: *tag}\nc: {repository: team/c, tag: v2}\n',
    pins: 1,
    told: /:1:1[12]: passed over: a and b are different images that share this text\n$/,
  },
  {
    name: 'a kustomization with digests, ports and comments',
    text: `apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\nimages:\n# first\n- name: a   # a\n  newTag: v1 # b\n  digest: sha256:${'3'.repeat(64)}\n- {name: b, newName: "hub.corp:5000/b", newTag: "2"}\n- name: c\n  newName: d\npatches:\n- patch: |\n    - op: replace\n      value: not:one\n`,
    pins: 2,
  },
  {
    name: 'compose with fields that services have in common',
    text: `x-base: &base\n  image: app:1\n  restart: always\nservices:\n  a:\n    <<: *base\n  b:\n    <<: [*base]\n    image: "other:2" # own\n  c: {build: {context: ., dockerfile_inline: "FROM not:one"}}\n`,
    pins: 2,
  },
  // No YAML.
  {
    name: 'a template that is no YAML, behind documents that are',
    text: `${OBJECT('Pod', POD('a:1'))}---\n{{- if .Values.job }}\nkind: Job\n{{- end }}\n`,
    pins: 0,
    told: /:9:\d+: no valid YAML: .*; it is a template: give what is rendered from it\n$/,
    broken: true,
  },
  {
    name: 'tabs that indent',
    text: 'kind: Pod\nspec:\n\tcontainers:\n\t- image: a:1\n',
    pins: 0,
    told: /:3:\d+: no valid YAML: tab characters must not be used in indentation\n$/,
    broken: true,
  },
  {
    name: 'a bracket that is not closed',
    text: '# all\n{"kind": "Pod", "spec": {"containers": [{"image": "a:1"}]\n',
    pins: 0,
    told: /:2:1: no valid YAML: the bracket that is opened here is not closed\n$/,
    broken: true,
  },
]

/** As Linux, Windows and an editor that writes a mark and no end of the last line leave it. */
const ENDINGS: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text.replaceAll('\n', '\r\n'),
  (text) => `\uFEFF${text.replace(/\n$/, '')}`,
]

const digestOf = (text: string): string =>
  `sha256:${createHash('sha256').update(text).digest('hex')}`

function registry(): Partial<CliContext> {
  return {
    resolver: openedResolver({
      askedFor: () => [],
      answer: async (input) => {
        const reference = parseReference(input)
        const written = formatReference(reference)
        return {
          ...identity(written),
          requested: input,
          reference: written,
          digest: reference.digest ?? digestOf(written),
          references: [],
          registry: 'hub:5000',
          source: 'registry',
          resolvedAt: 0,
          expiresAt: undefined,
          attempts: [],
        }
      },
      close: async () => {},
    }),
  }
}

/** What is left without what pinning adds: the tag that was not written is `latest`. */
function unpinned(text: string): string {
  return text
    .replace(/\r?\n *digest: sha256:[0-9a-f]{64}(?=\r?\n|$)/g, '')
    .replace(/, digest: sha256:[0-9a-f]{64}(?=\})/g, '')
    .replace(/(:latest)?@sha256:[0-9a-f]{64}/g, '')
    .replace(/sha256:[0-9a-f]{64}/g, '')
}

describe('pinning what charts make', () => {
  assert.equal(new Set(SHAPES.map(({ text }) => text)).size, 60)
  for (const { broken, name, pins, text, told = /^$/ } of SHAPES) {
    it(`changes references alone, and a second time nothing: ${name}`, async (t) => {
      for (const write of ENDINGS) {
        const path = join(temporaryFolder(t), 'chart.yaml')
        const before = write(text)
        writeFileSync(path, before)

        const first = await runCli(['pin', path, '--write'], registry())
        const after = readFileSync(path, 'utf8')
        const { mtimeMs } = statSync(path)
        const second = await runCli(['pin', path, '--write'], registry())

        assert.match(first.err.replaceAll('\uFEFF', ''), told)
        assert.deepEqual([first.code, second.code], broken ? [1, 1] : [0, 0])
        assert.equal(after.match(/sha256:[0-9a-f]{64}/g)?.length ?? 0, pins)
        assert.equal(unpinned(after), unpinned(before))
        assert.deepEqual([readFileSync(path, 'utf8'), second.out], [after, ''])
        assert.equal(statSync(path).mtimeMs, mtimeMs)
        if (broken) assert.equal(after, before)
        else assert.doesNotThrow(() => loadAll(after.replace('\uFEFF', '')))
      }
    })
  }

  it('pins a file of 5 MB in little more processor time than it takes to load it', async (t) => {
    const documents: string[] = []
    let length = 0
    while (length < 5 * 1024 * 1024) {
      const n = documents.length
      const fields = Array.from({ length: 30 }, (_, field) => `        field${field}: value ${n}\n`)
      const document = `---\n${DEPLOYMENT(`      containers:\n      - name: c${n}\n        image: nginx:1.${n % 40} # ${n}\n${fields.join('')}        env: [{name: A, value: "b"}]\n`)}`
      documents.push(document)
      length += document.length
    }
    const path = join(temporaryFolder(t), 'large.yaml')
    const text = documents.join('')
    writeFileSync(path, text)
    const started = process.cpuUsage()
    loadAll(text)
    const loaded = process.cpuUsage(started)

    const { code } = await runCli(['pin', path, '--write'], registry())

    const all = process.cpuUsage(started)
    const load = (loaded.system + loaded.user) / 1e6
    const seconds = (all.system + all.user) / 1e6 - load
    t.diagnostic(
      `${(length / 1024 / 1024).toFixed(1)} MiB: ${seconds.toFixed(2)} s of processor time, ${load.toFixed(2)} to load it`,
    )
    assert.equal(code, 0)
    const after = readFileSync(path, 'utf8')
    assert.equal(after.match(/@sha256:/g)?.length, documents.length)
    assert.equal(unpinned(after), text)
    assert.ok(seconds < 3 * load, `${seconds} s, ${load} s to load it`)
  })
})
