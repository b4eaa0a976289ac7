import { fstatSync } from 'node:fs'
import type { Logger as PinoLogger } from 'pino'
import { tracing } from './tracing.ts'

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'>

/** `text` is for people: one line an event, with the fields behind the message. */
export type LogFormat = 'text' | 'json'

/** Of syslog(3), by which `journalctl -p warning` chooses. */
const PRIORITIES: Readonly<Record<string, number>> = { debug: 7, info: 6, warn: 4, error: 3 }

/**
 * Lines on standard error, which the journal knows the priority of; standard output belongs to the commands'
 * answers. pino is loaded by the call, since commands import this file for `silentLogger` and need no pino.
 *
 * @param format default: text on a terminal, JSON with `level` as text anywhere else
 */
export async function createLogger(
  level: 'debug' | 'info',
  format: LogFormat = process.stderr.isTTY ? 'text' : 'json',
): Promise<Logger> {
  const { default: pino } = await import('pino')
  const destination = pino.destination({ dest: 2, sync: true })
  const isJournal = leadsToJournal(process.env['JOURNAL_STREAM'])
  const lines = {
    write: (line: string): void => {
      const [, name = ''] = /^{"level":"(\w+)"/.exec(line) ?? []
      const priority = isJournal ? `<${PRIORITIES[name] ?? PRIORITIES['info']}>` : ''
      destination.write(priority + (format === 'text' ? textOf(line) : line))
    },
  }
  const formatters = { level: (label: string) => ({ level: label }) }
  const isPlain = format === 'json' && !isJournal
  const mixin = () => tracing?.logFields() ?? {}
  const options = { name: 'image-resolver', level, formatters, mixin }
  const logger: Logger = pino(options, isPlain ? destination : lines)
  return logger
}

/** @param stream of systemd: device and inode of the journal; the service's output may lead elsewhere since */
function leadsToJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false
  const { dev, ino } = fstatSync(2)
  return stream === `${dev}:${ino}`
}

/** `2026-01-31 12:00:00.000Z WARN  the message file=/etc/x code=EROFS` */
function textOf(line: string): string {
  const { level, time, pid, hostname, name, msg, ...fields } = JSON.parse(line)
  const when = new Date(time).toISOString().replace('T', ' ')
  const shown = Object.entries(fields).map(([key, value]) => ` ${key}=${shownValue(value)}`)
  const text = `${when} ${String(level).toUpperCase().padEnd(5)} ${msg}${shown.join('')}`
  // Texts of registries may be in it.
  return `${text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')}\n`
}

/** Quoted only where it has to be. */
function shownValue(value: unknown): string {
  const isError = typeof value === 'object' && value !== null && 'stack' in value
  const shown = isError && 'message' in value ? value.message : value
  return typeof shown === 'string' && /^[^\s"=]+$/.test(shown) ? shown : JSON.stringify(shown)
}

/** For commands, which print what there is to say by themselves. */
export function silentLogger(): Logger {
  const nothing = (): void => {}
  return { debug: nothing, info: nothing, warn: nothing, error: nothing }
}
