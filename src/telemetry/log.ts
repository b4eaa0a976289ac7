import type { Logger as PinoLogger } from 'pino'

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'>

/**
 * JSON lines on standard error; standard output belongs to the commands' answers. pino is loaded by
 * the call, since commands import this file for `silentLogger` and need no pino.
 */
export async function createLogger(level: 'debug' | 'info'): Promise<Logger> {
  const { default: pino } = await import('pino')
  const target = pino.destination({ dest: 2, sync: true })
  const logger: Logger = pino({ name: 'image-resolver', level }, target)
  return logger
}

/** For commands, which print themselves what there is to say. */
export function silentLogger(): Logger {
  const nothing = (): void => {}
  return { debug: nothing, info: nothing, warn: nothing, error: nothing }
}
