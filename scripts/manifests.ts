import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { VERSION } from '../api/version.ts'
import { built } from '../test/runtimes/build.ts'

// `npm run manifests`: what is made of other files below deploy/. A test compares all of it.
//
//   deploy/helm/image-resolver          its version, of package.json; alerts and dashboard, which a chart has to have
//                                       in it: npm pack and helm leave out links or what they lead to
//   deploy/kubernetes                   the chart as plain manifests, for kubectl and kustomize
//   docs/kubernetes.md                  the table of values, of values.schema.json and values.yaml

const ROOT = join(import.meta.dirname, '..')
const CHART = join(ROOT, 'deploy/helm/image-resolver')
/** Of the manifests alone: helm takes what the chart asks for. */
const KUBERNETES = '1.34.0'
const BEGIN = '<!-- written by npm run manifests -->'
const END = '<!-- to here -->'

const IN_CHART = [
  ['alerts.yaml', 'deploy/prometheus/alerts.yaml'],
  ['dashboard.json', 'deploy/grafana/image-resolver.json'],
] as const

/** @returns path in the repository and text of each file that is made of others */
export function manifests(helm: string): ReadonlyMap<string, string> {
  return new Map([
    ...IN_CHART.map(
      ([name, source]) => [`deploy/helm/image-resolver/files/${name}`, read(source)] as const,
    ),
    ['deploy/kubernetes/resolver/resolver.yaml', plain(helm, 'resolver', '--no-hooks')],
    ['deploy/kubernetes/node/node.yaml', plain(helm, 'node', '--no-hooks')],
    [
      'deploy/kubernetes/node-uninstall/uninstall.yaml',
      withoutHooks(plain(helm, 'node', '--show-only=templates/uninstall.yaml')),
    ],
    ['docs/kubernetes.md', withTable(read('docs/kubernetes.md'))],
  ])
}

/** The chart with the values beside the manifests; what only helm needs is left out. */
function plain(helm: string, mode: string, option: string): string {
  const values = join(ROOT, 'deploy/kubernetes', mode, 'values.yaml')
  const args = ['template', 'image-resolver', CHART, '--values', values, option]
  const text = execFileSync(helm, [...args, '--kube-version', KUBERNETES], { encoding: 'utf8' })
  const body = text
    .replace(/^# Source: .*\n/gm, '')
    .replace(/^ +(?:helm\.sh\/chart|app\.kubernetes\.io\/managed-by): .*\n/gm, '')
    .replace(/^ +namespace: default\n/gm, '')
  return `# Written by npm run manifests, of the chart deploy/helm/image-resolver and values.yaml.\n${body}`
}

/** What a DaemonSet needs; that helm waits for it is for kubectl to do. */
function withoutHooks(text: string): string {
  const [head = '', ...objects] = text.split(/^---\n/m)
  const kept = objects.filter((object) => /^kind: (?:DaemonSet|ServiceAccount)$/m.test(object))
  return [head, ...kept]
    .join('---\n')
    .replace(/^ {2}annotations:\n(?: {4}helm\.sh\/hook.*\n)+/gm, '')
}

interface Schema {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
}

/** Every value of the chart with its default and meaning. */
function withTable(page: string): string {
  const schema: Schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8'))
  const values = load(readFileSync(join(CHART, 'values.yaml'), 'utf8'))
  const rows = rowsOf(schema, values, '')
  const table = ['| value | default | meaning |', '|---|---|---|', ...rows].join('\n')
  return page.replace(new RegExp(`${BEGIN}[\\s\\S]*${END}`), () => `${BEGIN}\n\n${table}\n\n${END}`)
}

function rowsOf(schema: Schema, value: unknown, path: string): readonly string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, field]) => {
    const here = path === '' ? key : `${path}.${key}`
    const found = (value as Readonly<Record<string, unknown>> | undefined)?.[key]
    if (field.properties !== undefined) return rowsOf(field, found, here)
    // That of helm itself.
    if (here === 'global') return []
    return [`| \`${here}\` | \`${JSON.stringify(found)}\` | ${field.description} |`]
  })
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

if (process.argv[1] === import.meta.filename) {
  // The manifests have the version of the chart.
  const chart = join(CHART, 'Chart.yaml')
  const text = readFileSync(chart, 'utf8')
  writeFileSync(chart, text.replace(/^((?:app)?version): .*$/gim, `$1: ${VERSION}`))
  const helm = join(await built('helm'), 'helm')
  for (const [path, text] of manifests(helm)) writeFileSync(join(ROOT, path), text)
}
