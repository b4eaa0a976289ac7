import type { Fault } from './fault.ts'
import { FAULTS } from './fault-list.ts'
import { measureRow, type Row } from './row.ts'
import { PLACES, type Place } from './scene.ts'

interface Case {
  readonly fault: Fault
  readonly place: Place
}

/** Every fault at every place: where all there is to do is to wait, side by side; else one by one. */
export async function measureAll(faults: readonly Fault[] = FAULTS): Promise<readonly Row[]> {
  const cases = faults.flatMap((fault) => PLACES.map((place) => ({ fault, place })))
  const waiting = Promise.all(cases.filter(isWaiting).map(measureRow))
  const rows: Row[] = []
  for (const each of cases) if (!isWaiting(each)) rows.push(await measureRow(each))
  rows.push(...(await waiting))
  const order = (row: Case): number =>
    cases.findIndex(({ fault, place }) => fault === row.fault && place === row.place)
  return rows.sort((one, other) => order(one) - order(other))
}

/** Silent registries are waited for; at other places somebody else answers, and milliseconds count. */
function isWaiting({ fault, place }: Case): boolean {
  return fault.slow === true && place !== 'first' && place !== 'middle'
}
