import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { load } from 'js-yaml'

const ROOT = resolve(import.meta.dirname, '../..')

test('every link between the documents leads somewhere', () => {
  const links = documents().flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, target = '']) => ({
      document,
      target,
    })),
  )

  const broken = links.filter(({ document, target }) => !leadsSomewhere(document, target))

  assert.ok(links.length >= 10, `only ${links.length} links were seen`)
  assert.deepEqual(broken, [])
})

test('the index lists every page', () => {
  const index = read('docs/README.md')

  const missing = readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md') && name !== 'README.md')
    .filter((name) => !index.includes(`](${name})`))

  assert.deepEqual(missing, [])
})

test('every file and folder of this repository that a document names is there', () => {
  const named = ['CONTRIBUTING.md', 'SECURITY.md', 'README.md', 'docs/architecture.md'].flatMap(
    (document) =>
      [
        ...read(document).matchAll(
          /\b(?:src|api|test|scripts|docs|deploy|openapi|protos)\/[\w./-]*\w/g,
        ),
      ].map(([path]) => ({ document, path })),
  )

  const gone = named.filter(({ path }) => !existsSync(join(ROOT, path)))

  assert.ok(named.length >= 50, `only ${named.length} were seen`)
  assert.deepEqual(gone, [])
})

test('every message of the log that logs.md explains is in the source', () => {
  const [, table = ''] = /\| msg \|.*\n\|[-|]+\n((?:\|.*\n)+)/.exec(read('docs/logs.md')) ?? []
  const messages = table
    .split('\n')
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)])
    .map(([, message = '']) => message)
  const source = sources()

  const missing = messages.filter((message) => !source.includes(`'${message}'`))

  assert.ok(messages.length >= 10, `only ${messages.length} messages were seen`)
  assert.deepEqual(missing, [])
})

test('versions.md names the versions of containerd and crictl that are built for the tests', () => {
  const page = read('docs/versions.md')

  for (const [module, path] of [
    ['containerd-1.7', 'github.com/containerd/containerd'],
    ['containerd-2.3', 'github.com/containerd/containerd/v2'],
    ['containerd-2.4', 'github.com/containerd/containerd/v2'],
    ['crictl', 'sigs.k8s.io/cri-tools'],
  ] as const) {
    const [, version = assert.fail(module)] =
      new RegExp(`\\b${path} v([\\d.]+)`).exec(read(`test/runtimes/${module}/go.mod`)) ?? []
    assert.ok(page.includes(version), `${module} ${version}`)
  }
})

test('the unit starts what the package names as its program', () => {
  const [, started] = /^ExecStart=(\S+)/m.exec(read('deploy/image-resolver.service')) ?? []
  const { bin } = JSON.parse(read('package.json'))

  assert.equal(started, `/opt/image-resolver/${bin['image-resolver']}`)
})

test('crictl and kubelet are pointed at the socket where the service listens by default', () => {
  const { shim } = load(read('deploy/image-resolver.yaml')) as { shim: string }
  const kubelet = load(read('deploy/kubelet/20-image-resolver.conf')) as Record<string, string>
  const crictl = load(read('deploy/crictl.yaml')) as Record<string, string>

  assert.equal(kubelet['imageServiceEndpoint'], `unix://${shim}`)
  assert.equal(crictl['image-endpoint'], `unix://${shim}`)
  assert.ok(
    read('deploy/kubelet/kubelet.env').includes(`--image-service-endpoint=unix://${shim}\n`),
  )
})

function documents(): readonly string[] {
  const top = readdirSync(ROOT).filter((name) => name.endsWith('.md'))
  const docs = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
  return [...top, ...docs.map((name) => `docs/${name}`)]
}

function leadsSomewhere(document: string, target: string): boolean {
  const [file = '', anchor] = target.split('#', 2)
  const path = file === '' ? document : join(dirname(document), file)
  if (!existsSync(join(ROOT, path))) return false
  return anchor === undefined || anchorsOf(read(path)).includes(anchor)
}

/** As GitHub makes them from headings. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function sources(): string {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(join('src', name)))
    .join('\n')
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}
