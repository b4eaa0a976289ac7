import { homedir } from 'node:os'
import type { Config } from '../config/config.ts'
import { type ConfigPlace, readConfig } from '../config/load.ts'
import type { Environment } from '../credentials/environment.ts'
import { loginFiles } from '../credentials/login-files.ts'
import { parseNormalized } from '../reference/reference.ts'
import { silentLogger } from '../telemetry/log.ts'
import { type Core, createCore } from './core.ts'

/**
 * A resolver for one command, from the service's configuration and without its doors. Where there is no
 * file, it asks as crane and skopeo do: with what its user has logged in with, and registries on loopback
 * when a reference names one.
 *
 * @param environment where logins are looked for; default: this process's
 * @throws ConfigError
 */
export async function openAnswers(
  place: ConfigPlace,
  environment: Environment = process.env,
): Promise<{
  /** The registries that may have it, in the order of asking; none for what is no reference. */
  askedFor(input: string): readonly string[]
  answer: Core['answers']['answer']
  close(): Promise<void>
}> {
  const config = await readConfig(place)
  const isWritten = config.file !== undefined
  const core = createCore(isWritten ? config : forUser(config, environment), silentLogger())
  return {
    askedFor: (input) => askedFor(input, core),
    answer: (input, options) => core.answers.answer(input, options),
    close: () => core.close(),
  }
}

function forUser(config: Config, environment: Environment): Config {
  const dockerConfigs = loginFiles(environment, environment['HOME'] || homedir())
  return { ...config, keychain: { ...config.keychain, dockerConfigs }, loopbackOrigins: true }
}

function askedFor(input: string, { resolver }: Core): readonly string[] {
  try {
    return resolver.candidates(parseNormalized(input)).map(({ registry }) => registry)
  } catch {
    return []
  }
}
