import { parseNormalized } from '../reference/reference.ts'
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
  const core = createCore(await readConfig(place), silentLogger())
  return {
    askedFor: (input) => askedFor(input, core),
    answer: (input, options) => core.answers.answer(input, options),
    close: () => core.close(),
  }
}

function askedFor(input: string, { resolver }: Core): readonly string[] {
  try {
    return resolver.candidates(parseNormalized(input)).map(({ registry }) => registry)
  } catch {
    return []
  }
}
