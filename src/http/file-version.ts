import { statSync } from 'node:fs'

/**
 * Tells one content of a file from the next.
 *
 * @throws where it is not there, or may not be looked at
 */
export function fileVersion(path: string): string {
  const { mtimeMs, ctimeMs, ino, size } = statSync(path)
  return `${mtimeMs} ${ctimeMs} ${ino} ${size}`
}
