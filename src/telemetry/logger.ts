import { type Logger as PinoLogger, pino } from 'pino'

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'>

/** JSON lines on standard error; standard output belongs to the commands' answers. */
export function createLogger(level: 'debug' | 'info'): Logger {
  return pino({ name: 'image-resolver', level }, pino.destination({ dest: 2, sync: true }))
}
