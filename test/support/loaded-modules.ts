import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Cleanup, temporaryFolder } from './stack.ts'

const ROOT = new URL('../../', import.meta.url)
const APP = new URL('dist/app/', ROOT).href
const DEPENDENCIES: ReadonlySet<string> = new Set(
  Object.keys(JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')).dependencies),
)

export interface ModuleRecord {
  /** For Node, before the program. */
  readonly flags: readonly string[]
  /** Packages that were loaded so far, in alphabetical order. */
  packages(): readonly string[]
  /** Our own modules, as `cli/run`. */
  own(): readonly string[]
  /** Node's own modules, as `node:tls`, once the program has ended by itself. */
  builtin(): readonly string[]
  /** How many files of the program were loaded so far. */
  files(): number
}

/**
 * Lets the built program write down which of its files it loads; their source maps tell what is in them.
 * Of packages, those count that package.json names.
 */
export function recordModules(t: Cleanup): ModuleRecord {
  const file = join(temporaryFolder(t), 'modules')
  const hooks = inline(`
    import { appendFileSync } from 'node:fs'
    export async function load(url, context, next) {
      appendFileSync(${JSON.stringify(file)}, url + '\\n')
      return next(url, context)
    }`)
  const register = inline(`
    import { writeFileSync } from 'node:fs'
    import { register } from 'node:module'
    process.once('exit', () => {
      writeFileSync(${JSON.stringify(`${file}-builtin`)}, JSON.stringify(process.moduleLoadList))
    })
    register(${JSON.stringify(hooks)})`)
  const files = (): readonly string[] => {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    return lines.filter((line) => line.startsWith(APP))
  }
  const sources = (): readonly string[] =>
    files().flatMap((url) => {
      const mapFile = fileURLToPath(`${url}.map`)
      // A file that only names what is in another one has none.
      if (!existsSync(mapFile)) return []
      const map = JSON.parse(readFileSync(mapFile, 'utf8'))
      return (map.sources as readonly string[]).map((source) => new URL(source, APP).href)
    })
  const named = (pattern: RegExp): readonly string[] => {
    const names = sources().flatMap((source) => pattern.exec(source)?.[1] ?? [])
    return [...new Set(names)].sort()
  }
  return {
    flags: ['--import', register],
    packages: () =>
      named(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//).filter((name) => DEPENDENCIES.has(name)),
    own: () => named(new RegExp(`^${new URL('src/', ROOT).href}(.+)\\.ts$`)),
    builtin: () =>
      (JSON.parse(readFileSync(`${file}-builtin`, 'utf8')) as readonly string[])
        .filter((name) => name.startsWith('NativeModule '))
        .map((name) => name.replace('NativeModule ', 'node:')),
    files: () => files().length,
  }
}

function inline(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`
}
