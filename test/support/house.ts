import type { IForbiddenRuleType } from 'dependency-cruiser'

interface Room {
  /** A folder with a slash at its end, or a file. */
  readonly path: string
  /** Rooms below it, whose values and types it may use. */
  readonly uses: readonly string[]
  /** Rooms of which it may know the types alone. */
  readonly usesTypesOf?: readonly string[]
}

const GROUND = ['errors', 'concurrency', 'telemetry', 'api']
const PURE = [...GROUND, 'reference']
const OUTSIDE = [...PURE, 'registry', 'runtime']
// Doors see everything below them and never each other.
const DOOR = [...OUTSIDE, 'resolver', 'config', 'host']
const CORE = [...DOOR, 'credentials']

/** Who may import whom, in src and api; what is not listed is forbidden. */
export const HOUSE: Readonly<Record<string, Room>> = {
  api: { path: 'api/', uses: [] },
  errors: { path: 'src/errors.ts', uses: [] },
  concurrency: { path: 'src/concurrency/', uses: ['errors'] },
  telemetry: { path: 'src/telemetry/', uses: ['concurrency'] },
  host: { path: 'src/host/', uses: GROUND },
  reference: { path: 'src/reference/', uses: GROUND },
  registry: { path: 'src/registry/', uses: PURE },
  runtime: { path: 'src/runtime/', uses: [...PURE, 'host', 'http2'] },
  resolver: {
    path: 'src/resolver/',
    uses: [...PURE, 'host'],
    usesTypesOf: ['registry', 'runtime'],
  },
  config: { path: 'src/config/', uses: [...PURE, 'registry', 'host'] },
  credentials: { path: 'src/credentials/', uses: [...PURE, 'registry', 'config'] },
  http2: { path: 'src/http2/', uses: [] },
  cri: { path: 'src/cri/', uses: [...DOOR, 'http2'] },
  http: { path: 'src/http/', uses: DOOR },
  workloads: { path: 'src/workloads/', uses: PURE },
  cli: { path: 'src/cli/', uses: [...DOOR, 'workloads'] },
  daemon: {
    path: 'src/daemon.ts',
    uses: [...CORE, 'client', 'cri', 'http', 'service'],
  },
  client: { path: 'src/client.ts', uses: ['api'] },
  service: {
    path: 'src/service/',
    uses: [...CORE, 'client', 'cri', 'http'],
  },
  main: { path: 'src/main.ts', uses: ['api', 'daemon', 'service', 'cli'] },
}

/** The rooms in which each package may be imported; any other package is forbidden in all. */
export const HOMES: Readonly<Record<string, readonly string[]>> = {
  '@fastify/swagger': ['http'],
  '@grpc/grpc-js': ['cri', 'runtime'],
  fastify: ['http'],
  'js-yaml': ['config'],
  'lru-cache': ['resolver', 'registry', 'credentials', 'cri', 'http', 'runtime'],
  pino: ['telemetry'],
  re2js: ['config'],
  'prom-client': ['telemetry'],
  'smol-toml': ['config'],
  typebox: ['api'],
  yaml: ['workloads'],
}

/** The room that a file of src or api belongs to. */
export function roomOf(file: string): string | undefined {
  return Object.keys(HOUSE).find((name) => new RegExp(pathOf(name)).test(file))
}

/** HOUSE and HOMES in dependency-cruiser's words. Each room has two rules, or three. */
export function houseRules(): IForbiddenRuleType[] {
  return [
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
    ...Object.entries(HOUSE).flatMap(([name, room]) => roomRules(name, room)),
  ]
}

function roomRules(name: string, room: Room): IForbiddenRuleType[] {
  const from = { path: beginning(room.path) }
  const used = room.uses.map(pathOf)
  const typesUsed = (room.usesTypesOf ?? []).map(pathOf)
  const packages = Object.entries(HOMES)
    .filter(([, homes]) => homes.includes(name))
    .map(([each]) => `(^|/)node_modules/${each}/`)
  const allowed = [beginning(room.path), ...used, ...typesUsed, ...packages]
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
  const room = HOUSE[name]
  if (room === undefined) throw new Error(`there is no room ${name}`)
  return beginning(room.path)
}

function beginning(path: string): string {
  return `^${path.replaceAll('.', '\\.')}${path.endsWith('/') ? '' : '$'}`
}
