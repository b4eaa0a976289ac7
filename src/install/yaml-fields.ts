import { parseYaml, type YamlEntry } from '../config/yaml.ts'
import { ResolveError } from '../errors.ts'
import type { Root } from './root.ts'

export interface FileOfFields {
  readonly file: string
  readonly fields: ReadonlyMap<string, YamlEntry>
}

/** @throws ResolveError CONFIG_INVALID for what is no mapping, and for what is not used in such a file */
export function readFields(root: Root, file: string): FileOfFields {
  const { root: node, problems } = parseYaml(firstDocument(root.text(file) ?? ''))
  const [problem] = problems
  if (problem !== undefined) {
    throw new ResolveError('CONFIG_INVALID', `${file}:${problem.line}: ${problem.message}`)
  }
  if (node !== undefined && node.kind !== 'map') {
    throw new ResolveError('CONFIG_INVALID', `${file}:${node.line}: it is no mapping`)
  }
  return { file, fields: new Map(node?.entries.map((entry) => [entry.key, entry])) }
}

/** YAML without what is below its first document, which kubelet and k3s do not read. */
export function firstDocument(text: string): string {
  let hasContent = false
  for (const { 0: line, index } of text.matchAll(/^.*$/gm)) {
    const isMarker = /^(?:---|\.\.\.)(?:\s|$)/.test(line)
    if (isMarker && hasContent) return text.slice(0, index)
    hasContent ||= isMarker ? /^---\s+[^\s#]/.test(line) : /^\s*[^\s#%]/.test(line)
  }
  return text
}
