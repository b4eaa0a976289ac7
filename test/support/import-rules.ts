import type { IForbiddenRuleType } from 'dependency-cruiser'

interface FolderRules {
  /** A folder with a slash at its end, or a file. */
  readonly path: string
  /** Folders below it, whose values and types it may use. */
  readonly uses: readonly string[]
  /** Folders of which it may know the types alone. */
  readonly usesTypesOf?: readonly string[]
}

const BASE = ['errors', 'json', 'lru', 'concurrency', 'telemetry', 'api']
const PURE = [...BASE, 'reference']
const OUTSIDE = [...PURE, 'registry', 'runtime']
// Servers see everything below them and never each other.
const SERVER = [...OUTSIDE, 'resolver', 'config', 'host']
const CORE = [...SERVER, 'credentials']

/** Which folder of src and api may import which; what is not listed is forbidden. */
export const FOLDERS: Readonly<Record<string, FolderRules>> = {
  api: { path: 'api/', uses: [] },
  errors: { path: 'src/errors.ts', uses: ['api'] },
  json: { path: 'src/json.ts', uses: [] },
  lru: { path: 'src/lru.ts', uses: [] },
  concurrency: { path: 'src/concurrency/', uses: ['errors'] },
  telemetry: { path: 'src/telemetry/', uses: ['concurrency', 'api'] },
  host: { path: 'src/host/', uses: BASE },
  yaml: { path: 'src/yaml/', uses: [] },
  reference: { path: 'src/reference/', uses: BASE },
  registry: { path: 'src/registry/', uses: PURE },
  runtime: { path: 'src/runtime/', uses: [...PURE, 'host', 'http2'] },
  resolver: {
    path: 'src/resolver/',
    uses: [...PURE, 'host'],
    usesTypesOf: ['registry', 'runtime'],
  },
  config: { path: 'src/config/', uses: [...PURE, 'registry', 'host', 'yaml'] },
  'shared-cache': {
    path: 'src/shared-cache/',
    uses: [...PURE, 'registry', 'resolver'],
    usesTypesOf: ['config'],
  },
  credentials: { path: 'src/credentials/', uses: [...PURE, 'registry', 'config', 'yaml'] },
  http2: { path: 'src/http2/', uses: [] },
  cri: { path: 'src/cri/', uses: [...SERVER, 'http2'] },
  http: { path: 'src/http/', uses: [...SERVER, 'workloads'] },
  workloads: { path: 'src/workloads/', uses: [...PURE, 'yaml'] },
  install: { path: 'src/install/', uses: [...PURE, 'config', 'host', 'yaml'] },
  cli: {
    path: 'src/cli/',
    uses: [...SERVER, 'workloads', 'install'],
    usesTypesOf: ['doctor', 'service'],
  },
  daemon: {
    path: 'src/daemon.ts',
    uses: [...CORE, 'client', 'cri', 'http', 'service'],
  },
  client: { path: 'src/client.ts', uses: ['api'] },
  service: {
    path: 'src/service/',
    uses: [...CORE, 'client', 'cri', 'http', 'shared-cache'],
  },
  doctor: { path: 'src/doctor/', uses: [...SERVER, 'install', 'service', 'yaml'] },
  main: { path: 'src/main.ts', uses: ['api', 'daemon', 'service', 'doctor', 'cli'] },
}

/** The folders in which each package may be imported; any other package is forbidden in all. */
export const HOMES: Readonly<Record<string, readonly string[]>> = {
  '@opentelemetry/api': ['telemetry'],
  '@opentelemetry/core': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-http': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-proto': ['telemetry'],
  '@opentelemetry/resources': ['telemetry'],
  '@opentelemetry/sdk-trace-base': ['telemetry'],
  '@fastify/http-proxy': ['http'],
  '@grpc/grpc-js': ['runtime'],
  '@grpc/proto-loader': ['cri', 'runtime'],
  fastify: ['http'],
  ioredis: ['shared-cache'],
  'js-yaml': ['config', 'http', 'install', 'workloads', 'yaml'],
  'lru-cache': ['resolver', 'registry', 'credentials', 'cri', 'http', 'runtime'],
  pino: ['telemetry'],
  re2js: ['config'],
  'prom-client': ['telemetry'],
  'smol-toml': ['config'],
  typebox: ['api'],
  undici: ['registry'],
}

/** The folder that a file of src or api belongs to. */
export function folderOf(file: string): string | undefined {
  return Object.keys(FOLDERS).find((name) => new RegExp(pathOf(name)).test(file))
}

/** FOLDERS and HOMES in dependency-cruiser's words. Each folder has two rules, or three. */
export function importRules(): IForbiddenRuleType[] {
  return [
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
    ...Object.entries(FOLDERS).flatMap(([name, folder]) => folderRules(name, folder)),
  ]
}

function folderRules(name: string, folder: FolderRules): IForbiddenRuleType[] {
  const from = { path: beginning(folder.path) }
  const used = folder.uses.map(pathOf)
  const typesUsed = (folder.usesTypesOf ?? []).map(pathOf)
  const packages = Object.entries(HOMES)
    .filter(([, homes]) => homes.includes(name))
    .map(([each]) => `(^|/)node_modules/${each}/`)
  const allowed = [beginning(folder.path), ...used, ...typesUsed, ...packages]
  return [
    {
      name: `imports-of-${name}`,
      severity: 'error',
      from,
      to: { path: '^(src|api|test|benchmarks|dist)/', pathNot: allowed },
    },
    {
      name: `packages-of-${name}`,
      severity: 'error',
      from,
      to: { path: '(^|/)node_modules/', pathNot: allowed },
    },
    ...(typesUsed.length === 0
      ? []
      : [
          {
            name: `types-only-of-${name}`,
            severity: 'error',
            from,
            to: { path: typesUsed, dependencyTypesNot: ['type-only'] },
          } satisfies IForbiddenRuleType,
        ]),
  ]
}

function pathOf(name: string): string {
  const folder = FOLDERS[name]
  if (folder === undefined) throw new Error(`there is no folder ${name}`)
  return beginning(folder.path)
}

function beginning(path: string): string {
  return `^${path.replaceAll('.', '\\.')}${path.endsWith('/') ? '' : '$'}`
}
