import { resolve } from 'node:path'
import { type Inspection, inspectHouse } from './cruise.ts'
import { plantHouse } from './planted-house.ts'

/** Far below what src holds: fewer were not read, whatever the checker says about them. */
export const FEWEST_MODULES = 40

/** The imports of this repository, inspected. */
export function inspectThisHouse(): Promise<Inspection> {
  return inspectHouse(resolve(import.meta.dirname, '../..'))
}

export interface Proof {
  readonly planted: number
  /** Planted mistakes that no rule saw. */
  readonly unseen: readonly string[]
  /** Right imports that a rule refused. */
  readonly wronglySeen: readonly string[]
}

/** Lets the rules loose on a house full of mistakes. */
export async function proveRules(): Promise<Proof> {
  const house = plantHouse(resolve(import.meta.dirname, '../../node_modules'))
  try {
    const found = (await inspectHouse(house.folder)).violations.filter((each) => !isByProduct(each))
    return {
      planted: house.violations.length,
      unseen: house.violations.filter((each) => !found.includes(each)),
      wronglySeen: found.filter((each) => !house.violations.includes(each)),
    }
  } finally {
    house.remove()
  }
}

/** Rooms that are one file import each other there, so they also make rings. */
function isByProduct(violation: string): boolean {
  return /^no-cycle: src\/[a-z-]+\.ts /.test(violation)
}
