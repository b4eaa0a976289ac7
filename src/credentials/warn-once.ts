import { LRUCache } from 'lru-cache'
import type { Logger } from '../telemetry/log.ts'

const MAX_WARNINGS = 1_000

interface Fields {
  readonly reason: string
  readonly file?: string
  readonly helper?: string
  readonly provider?: string
}

/** Warnings, each of which is given once as long as its cause lasts. */
export class WarnOnce {
  readonly #logger: Pick<Logger, 'warn'>
  readonly #reasons = new LRUCache<string, Set<string>>({ max: MAX_WARNINGS })

  constructor(logger: Pick<Logger, 'warn'>) {
    this.#logger = logger
  }

  /**
   * @param subject what it is about: a path, a program's name
   * @param fields without secrets
   */
  warn(subject: string, message: string, fields: Fields): void {
    const key = `${message} ${fields.reason}`
    const reasons = this.#reasons.get(subject) ?? new Set()
    if (reasons.has(key)) return
    // Reasons are of a handful of kinds; a program that invents exit codes starts over.
    if (reasons.size >= MAX_WARNINGS) reasons.clear()
    this.#reasons.set(subject, reasons.add(key))
    this.#logger.warn(fields, message)
  }

  /** All is well with it; what happens next is news again. */
  settle(subject: string): void {
    this.#reasons.delete(subject)
  }
}
