import type { Logger } from './logger.ts'

/** For commands, which print themselves what there is to say, and need not load what writes logs. */
export function silentLogger(): Logger {
  const nothing = (): void => {}
  return { debug: nothing, info: nothing, warn: nothing, error: nothing }
}
