import { lineOf, matching, readTomlFile, type TomlFile, tableAt } from '../config/toml.ts'
import { isFields } from '../json.ts'
import type { Found, Subject } from './subject.ts'

// What CRI-O refuses is containers/image's, pkg/sysregistriesv2: one bad file, and it loads none.

const FOLDER = '/etc/containers'
const CONSEQUENCE = 'CRI-O refuses all of its registries.conf files, and with them every pull'
const RELOAD = 'then `systemctl reload crio`'

interface Mistake {
  readonly place: readonly (string | number)[]
  readonly problem: string
  readonly mend: string
}

/** Mistakes in registries.conf and its drop-ins. */
export async function registriesConf(subject: Subject): Promise<readonly Found[]> {
  const { loaded, machine, runtime } = subject
  if (runtime?.kind !== 'CRI-O') return []
  const paths = await matching(`${FOLDER}/registries.conf.d/*.conf`, machine.files)
  const files = await Promise.all(
    [`${FOLDER}/registries.conf`, ...paths].map((path) => readTomlFile(path, machine.files)),
  )
  const hosts = new Set(loaded?.config.registries.map(({ endpoint }) => endpoint.host))
  return files.flatMap((file): readonly Found[] =>
    file === undefined
      ? []
      : [...mistakesIn(file).map((each) => refused(file, each)), ...blockedIn(file, hosts)],
  )
}

function refused({ path, text }: TomlFile, { mend, place, problem }: Mistake): Found {
  const line = lineOf(text, place)
  return { severity: 'error', file: path, line, problem, consequence: CONSEQUENCE, mend }
}

function mistakesIn(file: TomlFile): readonly Mistake[] {
  const { mistake, path, root } = file
  if (mistake !== undefined) {
    const problem = `line ${mistake.line} is no TOML: ${mistake.reason}`
    return [{ place: [], problem, mend: `correct it, ${RELOAD}` }]
  }
  const old = Object.keys(tableAt(root, 'registries')).length > 0
  const isNew = 'registry' in root || 'unqualified-search-registries' in root
  const isDropIn = path !== `${FOLDER}/registries.conf`
  if (old && (isNew || isDropIn)) {
    const problem = isNew
      ? '[registries.…] of version 1 and [[registry]] of version 2 in one file'
      : '[registries.…] of version 1 in a drop-in, which has to be of version 2'
    const mend = `write [[registry]] with location and insecure or blocked instead, ${RELOAD}`
    return [{ place: ['registries'], problem, mend }]
  }
  const tables = Array.isArray(root['registry']) ? root['registry'].filter(isFields) : []
  return tables.flatMap((table, index) => {
    const mirrors = Array.isArray(table['mirror']) ? table['mirror'].filter(isFields) : []
    return [
      ...placeMistakes(table['location'] ?? table['prefix'], ['registry', index], '[[registry]]'),
      ...mirrors.flatMap((mirror, at) =>
        placeMistakes(mirror['location'], ['registry', index, 'mirror', at], '[[registry.mirror]]'),
      ),
    ]
  })
}

function placeMistakes(
  location: unknown,
  place: readonly (string | number)[],
  table: string,
): readonly Mistake[] {
  if (typeof location !== 'string' || location === '') {
    const mend = `write location = "host:port", ${RELOAD}`
    return [{ place, problem: `${table} without a location`, mend }]
  }
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(location)) return []
  const host = location.replace(/^.*?:\/\//, '')
  return [
    {
      place: [...place, 'location'],
      problem: `${table} has the location ${JSON.stringify(location)}, with a scheme`,
      mend: `write location = "${host}"${location.startsWith('http:') ? ' and insecure = true' : ''}, ${RELOAD}`,
    },
  ]
}

/** A registry that this service would pull from, and CRI-O is told never to. */
function blockedIn({ path, root, text }: TomlFile, hosts: ReadonlySet<string>): readonly Found[] {
  const tables = Array.isArray(root['registry']) ? root['registry'].filter(isFields) : []
  return tables.flatMap((table, index): readonly Found[] => {
    const name = table['prefix'] ?? table['location']
    if (table['blocked'] !== true || typeof name !== 'string' || !hosts.has(name)) return []
    return [
      {
        severity: 'error',
        file: path,
        line: lineOf(text, ['registry', index, 'blocked']),
        problem: `${name} is blocked`,
        consequence: 'CRI-O refuses each pull from it, and the next registry is used',
        mend: `take blocked = true out, ${RELOAD}`,
      },
    ]
  })
}

/** `insecure_registries` of crio.conf, which CRI-O no longer reads for pulls. */
export async function crioInsecure({ machine, runtime }: Subject): Promise<readonly Found[]> {
  if (runtime?.kind !== 'CRI-O') return []
  return (await crioFiles(machine)).flatMap(({ path, root, text }): readonly Found[] => {
    const { insecure_registries: names } = tableAt(root, 'crio', 'image')
    if (!Array.isArray(names) || names.length === 0) return []
    return [
      {
        severity: 'warning',
        file: path,
        line: lineOf(text, ['crio', 'image', 'insecure_registries']),
        problem: 'insecure_registries',
        consequence: 'it changes nothing: CRI-O goes by registries.conf',
        mend: `write [[registry]] with location and insecure = true in ${FOLDER}/registries.conf.d, ${RELOAD}`,
      },
    ]
  })
}

/** crio.conf and its drop-ins that are TOML. */
export async function crioFiles({ files }: Subject['machine']): Promise<readonly TomlFile[]> {
  const paths = await matching('/etc/crio/crio.conf.d/*.conf', files)
  const read = await Promise.all(
    ['/etc/crio/crio.conf', ...paths].map((path) =>
      readTomlFile(path, files).catch(() => undefined),
    ),
  )
  return read.filter((file) => file !== undefined)
}
