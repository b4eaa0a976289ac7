import type { Config } from '../config/config.ts'
import { findConfigFile } from '../config/files.ts'
import { loadConfig } from '../config/load.ts'

export interface ConfigPlace {
  /** As given on the command line; undefined: where the service looks. */
  readonly file: string | undefined
  /** A portoshim.yaml, from the command line. */
  readonly portoshim?: string
}

/** @throws ConfigError */
export async function readConfig({ file: explicit, portoshim }: ConfigPlace): Promise<Config> {
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  return (await loadConfig({ file, portoshim })).config
}
