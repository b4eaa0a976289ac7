import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** JSON lines on standard error; standard output belongs to the commands' answers. */
export function createLogger(level: 'debug' | 'info' | 'silent'): Logger {
  return pino({ name: 'image-resolver', level }, pino.destination({ dest: 2, sync: true }))
}
