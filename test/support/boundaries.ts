import { resolve } from 'node:path'
import { type Inspection, inspectImports } from './cruise.ts'
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
