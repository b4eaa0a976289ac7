import type { Logger as PinoLogger } from 'pino'

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'>

/**
 * JSON lines on standard error, with `level` as text; standard output belongs to the commands' answers.
 * pino is loaded by the call, since commands import this file for `silentLogger` and need no pino.
 */
export async function createLogger(level: 'debug' | 'info'): Promise<Logger> {
  const { default: pino } = await import('pino')
  const target = pino.destination({ dest: 2, sync: true })
  const formatters = { level: (label: string) => ({ level: label }) }
  const logger: Logger = pino({ name: 'image-resolver', level, formatters }, target)
  return logger
}

/** For commands, which print what there is to say by themselves. */
export function silentLogger(): Logger {
  const nothing = (): void => {}
  return { debug: nothing, info: nothing, warn: nothing, error: nothing }
}
