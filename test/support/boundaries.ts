import { resolve } from 'node:path'
import { cruise, type IViolation } from 'dependency-cruiser'
import { folderOf, importRules } from './import-rules.ts'
import { plantModules } from './planted-modules.ts'

/** Far below what src holds: fewer were not read, whatever the checker says about them. */
export const FEWEST_MODULES = 40

/** The imports of this repository, inspected. */
export function inspectOwnImports(): Promise<Inspection> {
  return inspectImports(resolve(import.meta.dirname, '../..'))
}

export interface Proof {
  readonly planted: number
  /** Planted mistakes that no rule saw. */
  readonly unseen: readonly string[]
  /** Right imports that a rule refused. */
  readonly wronglySeen: readonly string[]
}

/** Runs the rules on modules that are full of mistakes. */
export async function proveRules(): Promise<Proof> {
  const tree = plantModules(resolve(import.meta.dirname, '../../node_modules'))
  try {
    const found = (await inspectImports(tree.folder)).violations.filter(
      (each) => !isByProduct(each),
    )
    return {
      planted: tree.violations.length,
      unseen: tree.violations.filter((each) => !found.includes(each)),
      wronglySeen: found.filter((each) => !tree.violations.includes(each)),
    }
  } finally {
    tree.remove()
  }
}

/** Folders that are one file import each other there, so they also make rings. */
function isByProduct(violation: string): boolean {
  return /^no-cycle: src\/[a-z-]+\.ts /.test(violation)
}

interface Inspection {
  /** Files of src and api that were read; the packages they import are not counted. */
  readonly modules: number
  /** Imports between them and out of them. */
  readonly imports: number
  /** `rule: from -> to`, sorted. */
  readonly violations: readonly string[]
}

/** Holds the imports of `src` and `api` below a folder against the import rules. */
async function inspectImports(folder: string): Promise<Inspection> {
  const { output } = await cruise(
    ['src', 'api'],
    {
      baseDir: folder,
      validate: true,
      ruleSet: { forbidden: importRules() },
      doNotFollow: { path: '(^|/)node_modules/' },
      // Types count too: they bind as firmly as values do.
      tsPreCompilationDeps: true,
    },
    {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'require'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.d.ts'],
    },
  )
  if (typeof output === 'string') throw new Error(`no result, but: ${output}`)
  const own = output.modules.filter(({ source }) => /^(src|api)\//.test(source))
  const homeless = own
    .filter(({ source }) => folderOf(source) === undefined)
    .map(({ source }) => `every-file-has-a-folder: ${source}`)
  return {
    modules: own.length,
    imports: own.reduce((sum, { dependencies }) => sum + dependencies.length, 0),
    violations: [...new Set([...homeless, ...output.summary.violations.map(describe)])].sort(),
  }
}

function describe({ rule, from, to, cycle }: IViolation): string {
  if (cycle === undefined) return `${rule.name}: ${from} -> ${packageOf(to) ?? to}`
  // The same ring is found once from each of its files.
  const ring = cycle.map(({ name }) => name)
  const first = ring.indexOf([...ring].sort()[0] ?? '')
  return `${rule.name}: ${[...ring.slice(first), ...ring.slice(0, first + 1)].join(' -> ')}`
}

/** `fastify` for any file of that package, wherever it is installed. */
function packageOf(file: string): string | undefined {
  return /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/.exec(file)?.[1]
}
