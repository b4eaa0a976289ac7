import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { WarnOnce } from '../../src/credentials/watched-file.ts'
import { type Cleanup, removeFolder } from './stack.ts'

export interface Warning {
  readonly message: unknown
  readonly fields: Readonly<Record<string, unknown>>
}

/** A logger that keeps what it is told. */
export interface WarningLog {
  readonly warnings: Warning[]
  readonly warnOnce: WarnOnce
  warn(fields: unknown, message?: unknown): void
}

export function warningLog(): WarningLog {
  const warnings: Warning[] = []
  const warn = (fields: unknown, message?: unknown) => {
    warnings.push({ message, fields: { ...(fields as object) } })
  }
  return { warnings, warn, warnOnce: new WarnOnce({ warn }) }
}

/** A folder in which programs can be run: shared memory may be mounted without that. */
export function folderOfFiles(t: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), 'keychain-'))
  t.after(() => removeFolder(folder))
  return folder
}

export function writeText(folder: string, name: string, content: string | object): string {
  const file = join(folder, name)
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

/** A shell script that can be run by its name. */
export function writeScript(folder: string, name: string, lines: readonly string[]): string {
  const file = writeText(folder, name, ['#!/bin/sh', ...lines, ''].join('\n'))
  chmodSync(file, 0o755)
  return file
}

/** A pipe with a name: a file that cannot be read before somebody writes. */
export function makePipe(folder: string): string {
  const file = join(folder, 'pipe')
  execFileSync('sh', ['-c', 'mkfifo "$0"', file])
  return file
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
