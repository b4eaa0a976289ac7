import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyEdits } from '../../../src/workloads/image-mention.ts'
import { parsePathPattern } from '../../../src/workloads/path-pattern.ts'
import { findImages } from '../../../src/workloads/workload-file.ts'

const DIGEST = `sha256:${'ab'.repeat(32)}`

interface Asked {
  readonly name?: string
  readonly paths?: readonly string[]
  readonly args?: readonly string[]
}

function find(text: string, { name = 'app.yaml', paths = [], args = [] }: Asked = {}) {
  const patterns = paths.map((path) => parsePathPattern(path) ?? [])
  return findImages(text, name, { paths: patterns, args })
}

function references(text: string, asked?: Asked): readonly string[] {
  const { mentions, problems } = find(text, asked)
  assert.deepEqual(problems, [])
  return mentions.map(({ reference }) => reference)
}

/** Everything pinned to one digest, tags as they are. */
function pinned(text: string, asked?: Asked): string {
  const edits = find(text, asked).mentions.flatMap(({ reference, pin }) => {
    const [name = ''] = reference.split('@')
    const tag = /:([^/:]+)$/.exec(name)?.[1]
    return pin({ tag, digest: DIGEST })
  })
  return applyEdits(text, edits)
}

describe('the images of a Kubernetes object', () => {
  it('are those of containers, init containers, ephemeral containers and image volumes', () => {
    const text = `
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  initContainers: [{name: a, image: init:1}]
  containers:
    - name: b
      image: main:1
  ephemeralContainers:
    - {name: c, image: debug:1}
  volumes:
    - name: d
      image:
        reference: volume:1
status:
  containerStatuses: [{image: status:1}]
`
    assert.deepEqual(references(text), ['init:1', 'main:1', 'debug:1', 'volume:1'])
  })

  it('are told of by object, path, line and column', () => {
    const text = `kind: Deployment
apiVersion: apps/v1
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      containers:
        - image: "main:1"
`
    const [mention] = find(text).mentions
    assert.deepEqual(
      [mention?.path, mention?.line, mention?.column],
      ['Deployment shop/web: spec.template.spec.containers[0].image', 8, 18],
    )
  })

  it('are found in lists, in several documents, and in custom resources that hold containers', () => {
    const text = `apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Pod
    spec: {containers: [{image: one:1}]}
---
apiVersion: example.com/v1
kind: Runner
spec:
  podTemplate:
    containers:
      - image: two:1
`
    assert.deepEqual(references(text), ['one:1', 'two:1'])
  })

  it('are not those of other fields, unless a path names them', () => {
    const text = `apiVersion: monitoring.coreos.com/v1
kind: Prometheus
spec:
  image: quay.io/prometheus/prometheus:v3
  thanos: {image: quay.io/thanos/thanos:v1}
`
    assert.deepEqual(references(text), [])
    assert.deepEqual(references(text, { paths: ['spec.image'] }), [
      'quay.io/prometheus/prometheus:v3',
    ])
    assert.equal(references(text, { paths: ['**.image'] }).length, 2)
    assert.deepEqual(references(text, { paths: ['spec.*.image'] }), ['quay.io/thanos/thanos:v1'])
  })

  it('are the values of named arguments, in either way of writing them', () => {
    const text = `apiVersion: v1
kind: Pod
spec:
  containers:
    - image: operator:1
      args:
        - "--reloader=quay.io/reloader:v1"
        - --other=quay.io/other:v1
        - -sidecar
        - quay.io/sidecar:v1
`
    const args = ['reloader', 'sidecar']
    assert.deepEqual(references(text, { args }), [
      'operator:1',
      'quay.io/reloader:v1',
      'quay.io/sidecar:v1',
    ])
    assert.match(pinned(text, { args }), /- "--reloader=quay\.io\/reloader:v1@sha256:abab/)
  })

  it('in a schema are no images', () => {
    const text = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  properties:
    containers:
      items: {properties: {image: {type: string}}}
`
    assert.deepEqual(references(text), [])
  })
})

describe('pinning YAML', () => {
  it('changes the references and nothing else', () => {
    const text = [
      '# a comment',
      'apiVersion: v1',
      'kind:   Pod',
      'spec:',
      '  containers:',
      "    - image:   'one:1'   # why",
      '      command: ["x",   "y"]',
      '    - image: "two:1"',
      '    - {image: three:1, name: c}',
      '    - image: four',
      '',
    ].join('\r\n')
    const expected = text
      .replace('one:1', `one:1@${DIGEST}`)
      .replace('two:1', `two:1@${DIGEST}`)
      .replace('three:1', `three:1@${DIGEST}`)
      .replace('image: four', `image: four@${DIGEST}`)
    assert.equal(pinned(text), expected)
  })

  it('moves a digest that is there', () => {
    const text = `apiVersion: v1\nkind: Pod\nspec: {containers: [{image: "a:1@sha256:${'0'.repeat(64)}"}]}\n`
    assert.equal(pinned(text), text.replace(`sha256:${'0'.repeat(64)}`, DIGEST))
  })

  it('changes an anchor once, however many aliases lead to it', () => {
    const text = `x-base: &base
  image: &image nginx:1.27
services:
  a: *base
  b: {<<: *base, restart: always}
  c: {image: *image}
`
    assert.equal(pinned(text), text.replace('nginx:1.27', `nginx:1.27@${DIGEST}`))
  })

  it('finds what an alias of an anchor given twice meant', () => {
    const text = `x: &i one:1
services:
  a: {image: *i}
y: &i two:1
z: *i
`
    assert.deepEqual(references(text), ['one:1'])
  })

  it('passes over what an anchor or a merge gives to different images, since no digest fits both', () => {
    const aliased = `tag: &tag latest
a: {repository: nginx, tag: *tag}
b: {repository: busybox, tag: *tag}
`
    const merged = `common: &common
  tag: latest
a:
  <<: *common
  repository: nginx
b:
  <<: *common
  repository: busybox
`
    const digest = aliased
      .replace('tag: &tag latest', 'x: &tag ""')
      .replace(/tag: \*/g, 'digest: *')
    const own = digest.replace(/digest:/g, 'tag: latest, digest:')
    for (const [text, line] of [
      [aliased, 1],
      [merged, 2],
      [own, 1],
    ] as const) {
      assert.equal(pinned(text, { name: 'values.yaml' }), text)
      const { problems } = find(text, { name: 'values.yaml' })
      assert.deepEqual(
        problems.map((each) => [each.line, each.isBroken, each.message]),
        [[line, false, 'a and b are different images that share this text']],
      )
    }
  })

  it('pins images with one tag in common that have digests of their own', () => {
    const text = `tag: &tag latest
a: {repository: nginx, tag: *tag, digest: ''}
b: {repository: busybox, tag: *tag, digest: ''}
`
    assert.equal(pinned(text), text.replace(/''/g, `'${DIGEST}'`))
  })

  it('passes over templates and texts of several lines, and says where', () => {
    const text = `apiVersion: v1
kind: Pod
spec:
  containers:
    - image: "{{ .Values.image }}:1"
    - image: >-
        folded:1
    - image: fine:1
`
    const { mentions, problems } = find(text)
    assert.deepEqual(
      mentions.map(({ reference }) => reference),
      ['fine:1'],
    )
    assert.deepEqual(
      problems.map(({ line, isBroken }) => [line, isBroken]),
      [
        [5, false],
        [6, false],
      ],
    )
  })

  it('passes over a template without quotes, which YAML takes for a mapping', () => {
    const text =
      'kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - name: a\n    image: {{ .Values.image }}\n  - image: b:1\n'
    const { mentions, problems } = find(text)
    assert.deepEqual(
      mentions.map(({ reference }) => reference),
      ['b:1'],
    )
    assert.deepEqual(
      problems.map(({ isBroken, line, message }) => [isBroken, line, message]),
      [[false, 6, 'spec.containers[0].image is a template']],
    )
    assert.deepEqual(references(text.replace('{{ .Values.image }}', '{a: {b: c}}')), ['b:1'])
  })

  it('takes a list that ends in the column of its field, as other readers of YAML do', () => {
    const text = `kind: Pod
apiVersion: v1
spec:
  args: [
    "a ]",
  ]
  containers: [
    {image: "one:1"},  # first ]
    {
      image: two:1
    }
  ] # last
  script: |
    [
    ]
---
{"kind": "Pod", "apiVersion": "v1", "spec": {
  "containers": [
    {"image": "three:1"}
]}}
`
    assert.equal(pinned(text), text.replace(/(one|two|three):1/g, `$1:1@${DIGEST}`))
    const { mentions } = find(text)
    assert.deepEqual(
      mentions.map(({ line, column }) => [line, column]),
      [
        [8, 13],
        [10, 14],
        [19, 15],
      ],
    )
  })

  it('takes a tab between what stands in one line', () => {
    const text = `kind: Pod
apiVersion: v1
spec:
  containers:
  - name: "a:\tb"
    image: one:1
    command:\t["a\t[\tb",\t"c"]
  - {image:\ttwo:1,\tname:\t[ \t],
      args: [\t
    ]}
`
    assert.equal(pinned(text), text.replace(/(one|two):1/g, `$1:1@${DIGEST}`))
  })

  it('finds the same behind marks of documents, in texts, and with directives', () => {
    const pod = 'kind: Pod\napiVersion: v1\nspec: {containers: [{image: one:1}]}\n'
    const text = `%YAML 1.2\n---\na: |\n  ---\n  b\n---  # c\n${pod}...\n---\nx: "a\n ---"\n---\n${pod}`
    for (const each of [text, text.slice(10)]) {
      assert.equal(pinned(each), each.replaceAll('one:1', `one:1@${DIGEST}`))
    }
  })

  it('takes no anchor from one document into the next, with directives and without', () => {
    const text = '%YAML 1.2\n---\nx: &i one:1\n...\n%YAML 1.2\n---\nservices: {a: {image: *i}}\n'
    for (const each of [text, text.replaceAll('%YAML 1.2\n', '')]) {
      const { mentions, problems } = find(each)
      assert.deepEqual(mentions, [])
      assert.match(problems[0]?.message ?? '', /an alias of an anchor that is not there/)
      assert.deepEqual(references(each.replace(/\.\.\.\n(%.*\n)?---\n/, '')), ['one:1'])
    }
  })

  it('knows no image of a field whose name is an alias', () => {
    assert.deepEqual(references('services: {a: {&i image : x:1}, b: {*i : y:1}}\n'), ['x:1'])
  })

  it('takes over the fields of a merge key, and not those of a name in quotes', () => {
    const text = "x: &x {image: one:1}\nservices: {a: {<<: *x}, b: {'<<': *x}}\n"
    assert.deepEqual(
      find(text).mentions.map(({ path, reference }) => [path, reference]),
      [['services.a.image', 'one:1']],
    )
  })

  it('counts the lines that CR alone ends', () => {
    const [mention] = find(
      'kind: Pod\rapiVersion: v1\rspec:\r  containers:\r  - image: a:1\r',
    ).mentions
    assert.deepEqual([mention?.line, mention?.column], [5, 12])
  })

  it('reads JSON as well', () => {
    const text =
      '{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"image":"a:1"},{"image":"b:2"}]}}'
    assert.deepEqual(JSON.parse(pinned(text)).spec.containers, [
      { image: `a:1@${DIGEST}` },
      { image: `b:2@${DIGEST}` },
    ])
  })
})

describe('a file that is no YAML', () => {
  it('has a problem with its line, and no images', () => {
    const text = `apiVersion: v1
kind: Pod
spec: {containers: [{image: a:1}]}
---
{{- if .Values.enabled }}
kind: Service
{{- end }}
`
    const { mentions, problems } = find(text)
    assert.deepEqual(mentions, [])
    assert.equal(problems[0]?.isBroken, true)
    assert.equal(problems[0]?.line, 5)
  })

  for (const [what, text] of [
    ['lists in lists', '['.repeat(100_000)],
    ['lists of one line', '- '.repeat(100_000)],
    [
      'mappings by indentation',
      Array.from({ length: 400 }, (_, n) => `${' '.repeat(n)}a:`).join('\n'),
    ],
  ] as const) {
    it(`is one that is nested without end: ${what}`, () => {
      const { problems } = find(text)
      assert.match(problems[0]?.message ?? '', /nested more than/)
    })
  }

  it('ends also where aliases multiply', () => {
    const levels = Array.from(
      { length: 30 },
      (_, n) => `l${n + 1}: &l${n + 1} [${Array(10).fill(`*l${n}`).join(', ')}]`,
    )
    const text = `l0: &l0 {image: "a:1"}\n${levels.join('\n')}\n`
    assert.deepEqual(references(text), ['a:1'])
  })

  it('ends also where many pods have the same many containers and volumes', () => {
    const items = Array(20_000).fill('{image: "a:1", args: *args}').join(', ')
    const pods = Array.from({ length: 20_000 }, (_, n) => `p${n}: {containers: *c, volumes: *c}\n`)
    const text = `x: &args [${Array(20_000).fill('y').join(', ')}]\nc: &c [${items}]\n${pods.join('')}`
    assert.equal(references(text, { args: ['image'] }).length, 20_000)
  })

  it('ends also where a line before a bracket has very many blanks', () => {
    const text = `containers: [{image: "a:1"}${' '.repeat(1_000_000)}\n]\n`
    assert.deepEqual(references(text), ['a:1'])
  })

  it('ends also where very many comments stand before a bracket that stays open', () => {
    const { problems } = find(`${'#\n'.repeat(5_000_000)}{a: 1\n`)
    assert.match(problems[0]?.message ?? '', /the bracket that is opened here is not closed/)
    assert.equal(problems[0]?.line, 5_000_001)
  })

  it('ends also where mappings take each other over many times', () => {
    const levels = Array.from(
      { length: 30 },
      (_, n) => `l${n + 1}: &l${n + 1} {<<: [${Array(10).fill(`*l${n}`).join(', ')}]}`,
    )
    assert.deepEqual(references(`l0: &l0 {image: "a:1"}\n${levels.join('\n')}\n`), ['a:1'])
  })

  const chain = (indent: string): string =>
    Array.from(
      { length: 20_000 },
      (_, n) => `${indent}l${n + 1}: &l${n + 1} {<<: *l${n}, k${n}: 1}\n`,
    ).join('')
  for (const [what, text, line] of [
    ['one after the other', `l0: &l0 {}\n${chain('')}`, 448],
    ['from the end', `x:\n  l0: &l0 {}\n${chain('  ')}<<: *l20000\n`, 449],
    ['in one list', `a: &a {b: c}\nd: {<<: [${Array(50_001).fill('*a').join(', ')}]}\n`, 2],
  ] as const) {
    it(`is one in which << adds up: ${what}`, () => {
      const { problems } = find(text)
      assert.deepEqual(
        problems.map((each) => [each.line, each.message]),
        [[line, 'no valid YAML: << adds more than 100000 fields']],
      )
    })
  }

  it('is one of more documents than are read', () => {
    const empty = '---\n'.repeat(50_000)
    assert.deepEqual(find(empty).problems, [])
    for (const [text, line] of [
      [`${empty}--- {services: {a: {image: x:1}}}\n`, 50_001],
      [`%YAML 1.2\n${empty}---\n`, 1],
    ] as const) {
      const { problems } = find(text)
      assert.equal(problems[0]?.message, 'no valid YAML: it has more than 50000 documents')
      assert.equal(problems[0]?.line, line)
    }
  })

  it('is told of at the bracket that is open to the end', () => {
    for (const text of ['# why\n---\n{"a": [1],\n"b": 2\n', '\n\n[{a: 1}, [b\n']) {
      const { problems } = find(text)
      assert.equal(
        problems[0]?.message,
        'no valid YAML: the bracket that is opened here is not closed',
      )
      assert.deepEqual([problems[0]?.line, problems[0]?.column], [3, 1])
    }
  })

  it('ends also where an anchor contains itself', () => {
    assert.deepEqual(references('a: &a {b: *a, <<: *a, image: "c:1"}\n'), ['c:1'])
  })
})

describe('the images of a compose file', () => {
  it('are those of its services, and variables are passed over', () => {
    const text = `services:
  web: {image: "nginx:1.27"}
  # built here
  app: {build: .}
  db:
    image: postgres:\${TAG:-17}
  cache: {image: redis:$TAG}
`
    const { mentions, problems } = find(text, { name: 'compose.yaml' })
    assert.deepEqual(
      mentions.map(({ reference, path }) => [reference, path]),
      [['nginx:1.27', 'services.web.image']],
    )
    assert.deepEqual(
      problems.map(({ message }) => message),
      [
        `services.db.image is a template: postgres:\${TAG:-17}`,
        'services.cache.image is a template: redis:$TAG',
      ],
    )
  })
})

describe('the images of Helm values', () => {
  const values = `image:
  registry: quay.io
  repository: team/app
  tag: 1.10   # not 1.1
  pullPolicy: Always
sidecar:
  image:
    repository: team/sidecar
    tag: "v2"
    digest: ""
exporter:
  image: quay.io/team/exporter:v3
plain:
  image: team/plain
  tag: v4
untagged:
  image: {repository: team/untagged, tag: ""}
`
  it('are put together from registry, repository and tag', () => {
    assert.deepEqual(references(values, { name: 'values.yaml' }), [
      'quay.io/team/app:1.10',
      'team/sidecar:v2',
      'quay.io/team/exporter:v3',
      'team/plain:v4',
    ])
  })

  it('are pinned in the digest where there is such a field, and else behind the tag', () => {
    assert.equal(
      pinned(values),
      values
        .replace('tag: 1.10 ', `tag: 1.10@${DIGEST} `)
        .replace('digest: ""', `digest: "${DIGEST}"`)
        .replace('exporter:v3', `exporter:v3@${DIGEST}`)
        .replace('tag: v4', `tag: v4@${DIGEST}`),
    )
  })

  it('are moved together with their tag', () => {
    const text = 'image: {repository: a/b, tag: v1, digest: sha256:00}\n'
    const [mention] = find(text).mentions
    assert.equal(mention?.reference, 'a/b:v1@sha256:00')
    assert.equal(
      applyEdits(text, mention?.pin({ tag: 'v1', digest: DIGEST }) ?? []),
      text.replace('sha256:00', DIGEST),
    )
  })

  it('are found in the values of a HelmRelease, and not elsewhere in an object', () => {
    const text = `apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
spec:
  chart: {spec: {repository: a/b, tag: c}}
  values:
    image: {repository: team/app, tag: v1}
`
    assert.deepEqual(references(text), ['team/app:v1'])
  })

  it('keep the comment behind a digest field without a value', () => {
    const text = 'a:\n  repository: nginx\n  tag: latest\n  digest: # later\n'
    assert.equal(pinned(text), text.replace('# later', `${DIGEST} # later`))
  })

  it('stay JSON where they are JSON', () => {
    const texts = [
      '{"image":{"repository":"nginx","tag":"latest","digest":null}}',
      '{"image":{"repository":"redis","tag":7}}',
    ]
    const images = texts.map((text) => JSON.parse(pinned(text, { name: 'values.json' })).image)
    assert.deepEqual(images, [
      { repository: 'nginx', tag: 'latest', digest: DIGEST },
      { repository: 'redis', tag: `7@${DIGEST}` },
    ])
  })

  it('read a digest field without a value', () => {
    const text = 'image:\n  repository: a/b\n  tag: v1\n  digest:\n'
    assert.equal(pinned(text), text.replace('digest:', `digest: ${DIGEST}`))
    for (const field of ['"digest" :', 'digest: !!str', 'digest: &d', '? digest # a: b\n  :']) {
      const written = text.replace('digest:', field)
      assert.equal(pinned(written), written.replace(field, `${field} ${DIGEST}`))
    }
    const flow = 'image: {repository: a/b, tag: v1, digest:, x: y}\n'
    assert.equal(pinned(flow), flow.replace('digest:', `digest: ${DIGEST}`))
    const bare = 'image: {repository: a/b, tag: v1, digest}\n'
    assert.equal(pinned(bare), bare.replace('v1', `v1@${DIGEST}`))
  })
})

describe('the images of a kustomization', () => {
  const text = `resources: [app.yaml]
images:
  - name: nginx
    newTag: "1.27" # stays
  - name: app
    newName: quay.io/team/app
    newTag: v1
    digest: sha256:00
  - {name: c, newTag: v2}
  - name: kept
    newName: only/renamed
`
  it('each get a digest where an anchor gives them one tag', () => {
    const text = 'images:\n- name: nginx\n  newTag: &tag latest\n- name: busybox\n  newTag: *tag\n'
    assert.equal(
      pinned(text, { name: 'kustomization.yaml' }),
      text.replace(/(&tag latest|\*tag)/g, `$1\n  digest: ${DIGEST}`),
    )
  })

  it('stay JSON where they are JSON', () => {
    const text = '{"kind":"Kustomization","images":[{"name":"nginx","newTag":"latest"}]}'
    assert.deepEqual(JSON.parse(pinned(text)).images, [
      { name: 'nginx', newTag: 'latest', digest: DIGEST },
    ])
  })

  it('get a digest beside their tag', () => {
    assert.deepEqual(references(text, { name: 'kustomization.yaml' }), [
      'nginx:1.27',
      'quay.io/team/app:v1@sha256:00',
      'c:v2',
    ])
    assert.equal(
      pinned(text, { name: 'kustomization.yaml' }),
      text
        .replace('# stays', `# stays\n    digest: ${DIGEST}`)
        .replace('sha256:00', DIGEST)
        .replace('newTag: v2', `newTag: v2, digest: ${DIGEST}`),
    )
  })
})
