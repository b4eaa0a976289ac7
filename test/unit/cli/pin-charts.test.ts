import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { loadAll } from 'js-yaml'
import type { CliContext } from '../../../src/cli/context.ts'
import { formatReference, parseReference } from '../../../src/reference/reference.ts'
import { runCli } from '../../support/cli.ts'
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
]

/** As Linux, Windows and an editor that writes a mark and no end of the last line leave it. */
const ENDINGS: Readonly<Record<string, (text: string) => string>> = {
  'Linux line ends': (text) => text,
  'Windows line ends': (text) => text.replaceAll('\n', '\r\n'),
  'a mark and no last line end': (text) => `\uFEFF${text.replace(/\n$/, '')}`,
}

const digestOf = (text: string): string =>
  `sha256:${createHash('sha256').update(text).digest('hex')}`

function registry(): Partial<CliContext> {
  return {
    answers: async () => ({
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
    .replace(/(:latest)?@sha256:[0-9a-f]{64}/g, '')
    .replace(/sha256:[0-9a-f]{64}/g, '')
}

describe('pinning what charts make', () => {
  assert.equal(SHAPES.length * Object.keys(ENDINGS).length, 60)
  for (const { broken, name, pins, text, told = /^$/ } of SHAPES) {
    for (const [ending, write] of Object.entries(ENDINGS)) {
      it(`changes references alone, and a second time nothing: ${name}, ${ending}`, async (t) => {
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
      })
    }
  }

  it('pins a file of 5 MB with as much processor time as its length takes', async (t) => {
    const documents: string[] = []
    let length = 0
    while (length < 5 * 1024 * 1024) {
      const document = `---\n${DEPLOYMENT(`      containers:\n      - name: c${documents.length}\n        image: nginx:1.${documents.length % 40}   # ${'a comment '.repeat(20)}\n        env: [{name: A, value: "${'v'.repeat(300)}"}]\n`)}`
      documents.push(document)
      length += document.length
    }
    const path = join(temporaryFolder(t), 'large.yaml')
    const text = documents.join('')
    writeFileSync(path, text)

    const started = process.cpuUsage()
    const { code } = await runCli(['pin', path, '--write'], registry())
    const { system, user } = process.cpuUsage(started)

    const seconds = (system + user) / 1e6
    t.diagnostic(
      `${(length / 1024 / 1024).toFixed(1)} MiB: ${seconds.toFixed(2)} s of processor time`,
    )
    assert.equal(code, 0)
    const after = readFileSync(path, 'utf8')
    assert.equal(after.match(/@sha256:/g)?.length, documents.length)
    assert.equal(unpinned(after), text)
    assert.ok(seconds < 20, `${seconds} s`)
  })
})
