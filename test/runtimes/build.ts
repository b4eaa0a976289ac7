import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '../support/program.ts'

// Programs that Debian lacks, or has in one version only, built by Go from the modules beside this
// file, once: a folder in the cache is made anew when a file of its module changes.

export const CONTAINERDS = ['containerd-1.7', 'containerd-2.3', 'containerd-2.4'] as const
const TOOLS = ['crictl', 'h2spec', 'helm', 'validate-manifests'] as const
export const BUILT = [...CONTAINERDS, ...TOOLS]
export type Built = (typeof BUILT)[number]

const CACHE = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'image-resolver-runtimes',
)
/** Without them, containerd's snapshotters want C libraries. */
const TAGS = 'no_btrfs no_zfs no_devmapper'
/** The first Go that fetches the version which a go.mod names. */
const FETCHES_ITSELF = 21

/** The folder of the programs that the module's go.mod calls its tools. */
export async function built(module: Built): Promise<string> {
  const source = join(import.meta.dirname, module)
  const hash = createHash('sha256')
  for (const name of readdirSync(source).sort()) hash.update(readFileSync(join(source, name)))
  const folder = join(CACHE, `${module}-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(folder)) return folder

  process.stderr.write(`go build ${module}\n`)
  const unfinished = `${folder}.${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  const [go, environment] = await goFor(source)
  const build = ['build', '-C', source, '-buildvcs=false', '-trimpath', '-ldflags=-s -w']
  await runProgram(go, [...build, `-tags=${TAGS}`, '-o', `${unfinished}/`, 'tool'], environment)
  renameSync(unfinished, folder)
  return folder
}

/**
 * The Go that builds a module. Debian 12's own, 1.19, knows neither tools in go.mod nor how to fetch
 * a newer Go; but that is a module like any other, without the executable bits.
 */
async function goFor(source: string): Promise<readonly [string, Record<string, string>]> {
  const installed = await runProgram('go', ['env', 'GOVERSION'])
  const minor = Number(/^go1\.(\d+)/.exec(installed)?.[1])
  if (minor >= FETCHES_ITSELF) return ['go', { CGO_ENABLED: '0', GOTOOLCHAIN: 'auto' }]
  const [, version] = /^go (\S+)$/m.exec(readFileSync(join(source, 'go.mod'), 'utf8')) ?? []
  const platform = (await runProgram('go', ['env', 'GOOS', 'GOARCH'])).trim().replace('\n', '-')
  const module = `golang.org/toolchain@v0.0.1-go${version}.${platform}`
  const told = await runProgram('go', ['mod', 'download', '-json', module])
  // Behind lines of progress.
  const root: string = JSON.parse(told.slice(told.indexOf('{'))).Dir
  for (const folder of [join(root, 'bin'), join(root, 'pkg/tool', platform.replace('-', '_'))]) {
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o755)
  }
  return [join(root, 'bin/go'), { CGO_ENABLED: '0', GOTOOLCHAIN: 'local' }]
}
