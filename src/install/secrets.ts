import { statSync } from 'node:fs'
import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import type { TextFile } from './kubelet.ts'
import { Root } from './root.ts'

/** Where they are on a node, for the configuration to name. */
export const SECRETS = '/etc/image-resolver/secrets'
const MAX_FILES = 256

/**
 * The files of a folder and of those in it, as a kubelet mounts Secrets: what begins with two dots is its
 * own.
 *
 * @returns with their paths on the node
 * @throws ResolveError CONFIG_INVALID for what is no text file of at most 1 MiB, or more than 256 of them
 */
export function readSecrets(folder: string): readonly TextFile[] {
  const root = new Root(folder)
  const files = filesBelow(root, '/')
  if (files.length > MAX_FILES) {
    const message = `${folder} has ${files.length} files, and ${MAX_FILES} are the most`
    throw new ResolveError('CONFIG_INVALID', message)
  }
  return files.map((path) => ({ path: posix.join(SECRETS, path), text: root.text(path) ?? '' }))
}

function filesBelow(root: Root, folder: string): readonly string[] {
  return root
    .list(folder, '')
    .filter((path) => !posix.basename(path).startsWith('..'))
    .flatMap((path) =>
      statSync(root.outside(path)).isDirectory() ? filesBelow(root, path) : [path],
    )
}
