import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Cleanup, temporaryFolder } from './stack.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface ModuleRecord {
  /** For Node, before the program. */
  readonly flags: readonly string[]
  /** Packages that were loaded so far, in alphabetical order. */
  packages(): readonly string[]
  /** Our own modules, as `cli/run`. */
  own(): readonly string[]
}

/** Lets a program write down which modules it loads. What a CommonJS package loads of itself is not told. */
export function recordModules(t: Cleanup): ModuleRecord {
  const file = join(temporaryFolder(t), 'modules')
  const hooks = inline(`
    import { appendFileSync } from 'node:fs'
    export async function load(url, context, next) {
      appendFileSync(${JSON.stringify(file)}, url + '\\n')
      return next(url, context)
    }`)
  const register = inline(`
    import { register } from 'node:module'
    register(${JSON.stringify(hooks)})`)
  const lines = (): readonly string[] =>
    existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  const named = (pattern: RegExp): readonly string[] => {
    const names = lines().flatMap((line) => pattern.exec(line)?.[1] ?? [])
    return [...new Set(names)].sort()
  }
  return {
    flags: ['--import', register],
    packages: () => named(/\/node_modules\/((?:@[^/]+\/)?(?!tsx\/)[^/]+)\/(?!.*\/node_modules\/)/),
    own: () => named(new RegExp(`${ROOT}(?:dist/)?src/(.+)\\.[jt]s(?:\\?.*)?$`)),
  }
}

function inline(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`
}
