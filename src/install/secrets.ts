import { statSync } from 'node:fs'
import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import type { TextFile } from './root.ts'
import { Root } from './root.ts'

/** Where they are on a node, for the configuration to name. */
export const SECRETS = '/etc/image-resolver/secrets'
const MAX_FILES = 256

/**
 * The files of a folder and of those in it, as a kubelet mounts Secrets: what begins with two dots is its
 * own.
 *
 * @returns with their paths on the node; none for a folder that is there and empty
 * @throws ResolveError CONFIG_INVALID where there is no such folder, for what is no text file of at most 1 MiB, or
 * more than 256 of them
 */
export function readSecrets(folder: string): readonly TextFile[] {
  const root = new Root(folder)
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    const how = 'name the folder of the secrets, or an empty one to remove those of this node'
    throw new ResolveError('CONFIG_INVALID', `--secrets ${folder}: there is no such folder; ${how}`)
  }
  const files = filesBelow(root, '/')
  if (files.length > MAX_FILES) {
    const message = `${folder} has ${files.length} files, and ${MAX_FILES} are the most`
    throw new ResolveError('CONFIG_INVALID', message)
  }
  return files.map((path) => {
    const text = root.text(path)
    if (text !== undefined) return { path: posix.join(SECRETS, path), text }
    throw new ResolveError('CONFIG_INVALID', `--secrets ${folder}: ${path} leads to no file`)
  })
}

export function filesBelow(root: Root, folder: string): readonly string[] {
  return root
    .list(folder, '')
    .filter((path) => !posix.basename(path).startsWith('..'))
    .flatMap((path) => (root.isFolder(path) ? filesBelow(root, path) : [path]))
}
