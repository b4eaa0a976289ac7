import { startProgram } from '../test/support/program.ts'
import type { Cleanup } from '../test/support/stack.ts'
import { REGISTRIES, type RegistryAddresses, type RegistryWay } from './processes/registries.ts'
import { TYPESCRIPT } from './typescript.ts'

export interface Registries {
  way(roundTripMs: number): RegistryWay
  /** Requests that all of them have had so far. */
  requests(): Promise<number>
  /** From now on they refuse connections. */
  stop(): Promise<void>
}

/** Registries in another process, at each of these round-trip times. */
export async function startRegistries(
  cleanup: Cleanup,
  roundTripsMs: readonly number[] = [0],
): Promise<Registries> {
  const args = [...TYPESCRIPT, REGISTRIES, ...roundTripsMs.map(String)]
  const program = startProgram(process.execPath, args)
  cleanup.after(() => program.stop())
  const [line] = await program.line(/^\{"ways".*\}$/m)
  const { countUrl, ways } = JSON.parse(line) as RegistryAddresses
  return {
    way: (roundTripMs) => {
      const way = ways[roundTripMs]
      if (way === undefined) throw new Error(`no way takes ${roundTripMs} ms`)
      return way
    },
    requests: async () => Number(await (await fetch(countUrl)).text()),
    stop: () => program.stop(),
  }
}
