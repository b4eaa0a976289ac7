import type { Config } from '../config/config.ts'
import { parseNormalized } from '../reference/reference.ts'
import { ConfiguredRegistries } from '../registry/registries.ts'
import { candidatesFor } from '../resolver/candidates.ts'
import { silentLogger } from '../telemetry/silent-logger.ts'
import { type ConfigPlace, readConfig } from './config-place.ts'
import { type Core, createCore } from './core.ts'

/**
 * A resolver for one command, from the service's configuration and without its doors.
 *
 * @throws ConfigError
 */
export async function openAnswers(place: ConfigPlace): Promise<{
  /** The registries that may have it, in the order of asking; none for what is no reference. */
  askedFor(input: string): readonly string[]
  answer: Core['answers']['answer']
  close(): Promise<void>
}> {
  const config = await readConfig(place)
  const core = createCore(config, silentLogger())
  return {
    askedFor: (input) => askedFor(input, config),
    answer: (input, options) => core.answers.answer(input, options),
    close: () => core.close(),
  }
}

function askedFor(input: string, { registries, mirrorsOnly }: Config): readonly string[] {
  try {
    const configured = new ConfiguredRegistries(registries, 1, mirrorsOnly)
    const candidates = candidatesFor(parseNormalized(input), configured, undefined)
    return candidates.map(({ registry }) => registry)
  } catch {
    return []
  }
}
