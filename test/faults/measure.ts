import type { Fault } from './fault.ts'
import { FAULTS } from './fault-list.ts'
import { measureRow, type Row } from './row.ts'
import { PLACES, type Place } from './scene.ts'

/** Where somebody else answers for a silent registry, and milliseconds count. */
const COUNTED: ReadonlySet<Place> = new Set(['first', 'middle'])

interface Case {
  readonly fault: Fault
  readonly place: Place
}

interface Measuring {
  /** Default all. */
  readonly faults?: readonly Fault[]
  /** Whether the times of the rows will be looked at. */
  readonly isTimed: boolean
}

/** Every fault at every place: where all there is to do is to wait, side by side; else one by one. */
export async function measureAll({ faults = FAULTS, isTimed }: Measuring): Promise<readonly Row[]> {
  const cases = faults.flatMap((fault) => PLACES.map((place) => ({ fault, place })))
  const isWaiting = ({ fault, place }: Case): boolean =>
    fault.slow === true && !(isTimed && COUNTED.has(place))
  const waiting = Promise.all(cases.filter(isWaiting).map((each) => measureRow(each, isTimed)))
  const rows: Row[] = []
  for (const each of cases) if (!isWaiting(each)) rows.push(await measureRow(each, isTimed))
  rows.push(...(await waiting))
  const order = (row: Case): number =>
    cases.findIndex(({ fault, place }) => fault === row.fault && place === row.place)
  return rows.sort((one, other) => order(one) - order(other))
}
