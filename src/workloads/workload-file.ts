import { basename } from 'node:path'
import { SourceText } from '../yaml/source-text.ts'
import { dockerfileImages } from './dockerfile.ts'
import { type FileImages, type Pin, pinnedReference } from './image-mention.ts'
import type { PathPattern } from './path-pattern.ts'
import { yamlImages } from './yaml-images.ts'

export interface FindOptions {
  /** More places in YAML that hold an image. */
  readonly paths: readonly PathPattern[]
  /** Arguments of containers that are an image, without their dashes. */
  readonly args: readonly string[]
}

type Format = 'yaml' | 'dockerfile' | 'list'

/** Names of files that are read when a folder is given. */
const IN_FOLDERS = /^(?:.*\.ya?ml|(?:.*\.)?(?:Dockerfile|Containerfile)(?:\..*)?|.*\.dockerfile)$/i

export function isWorkloadFile(name: string): boolean {
  return IN_FOLDERS.test(name)
}

/**
 * The images that a file names.
 *
 * @param name its path, which tells most formats; `-` and other names are told by what the text begins with
 */
export function findImages(text: string, name: string, options: FindOptions): FileImages {
  const file = basename(name)
  const isKustomization = /^kustomization\.ya?ml$/i.test(file)
  switch (formatOf(text, file)) {
    case 'dockerfile':
      return dockerfileImages(text)
    case 'list':
      return listImages(text)
    default:
      return yamlImages(text, { ...options, isKustomization })
  }
}

function formatOf(text: string, file: string): Format {
  if (/\.(ya?ml|json)$/i.test(file)) return 'yaml'
  if (isWorkloadFile(file)) return 'dockerfile'
  if (/\.(txt|list|lst)$/i.test(file)) return 'list'
  const lines = text.split('\n', 200).filter((line) => !/^\s*(#|$)/.test(line))
  if (/^\s*(FROM|ARG)\s+\S/i.test(lines[0] ?? '')) return 'dockerfile'
  return lines.length > 0 && lines.every((line) => /^\s*[^\s:]\S*[^\s:]\s*(#.*)?$/.test(line))
    ? 'list'
    : 'yaml'
}

/** A plain list: one image a line; what follows a `#` at the start or behind white space is a comment. */
function listImages(text: string): FileImages {
  const positions = new SourceText(text)
  const mentions = [...text.matchAll(/^[ \t]*([^\s#]\S*)/gm)].map((match) => {
    const reference = match[1] ?? ''
    const start = match.index + match[0].length - reference.length
    const { line, column } = positions.at(start)
    return {
      reference,
      line,
      column,
      path: `line ${line}`,
      pin: (pin: Pin) => [
        { start, end: start + reference.length, text: pinnedReference(reference, pin) },
      ],
    }
  })
  return { mentions, problems: [] }
}
