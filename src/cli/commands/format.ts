import { parseReference } from '../../reference/reference.ts'
import type { Answer } from '../../resolver/types.ts'
import { platformText } from '../answer-text.ts'
import { UsageError } from '../options.ts'
import { visible } from '../output.ts'

/** What `--format` can print of an answer; undefined: unknown. */
const FIELDS: Readonly<Record<string, (answer: Answer) => string | undefined>> = {
  requested: ({ requested }) => requested,
  reference: ({ reference }) => reference,
  repository: ({ reference }) => repositoryOf(reference),
  imageId: ({ imageId }) => imageId,
  digest: ({ digest }) => digest,
  manifestDigest: ({ manifestDigest }) => manifestDigest,
  mediaType: ({ mediaType }) => mediaType,
  platform: platformText,
  registry: ({ registry }) => registry,
  source: ({ source }) => source,
  pullFrom: ({ references }) => references[0]?.reference,
}

const PLACEHOLDER = /\{\{\s*\.?(\w+)\s*\}\}/g
const ESCAPES: Readonly<Record<string, string>> = { '\\n': '\n', '\\t': '\t', '\\\\': '\\' }

/**
 * Reads a `--format` like `{{.repository}}@{{.digest}}`: fields of an answer in double braces, in any
 * case of letters, and `\n` and `\t` as Docker's command line has them. What is not known is `-`.
 *
 * @returns what formats an answer, with a newline at its end
 * @throws UsageError for a field that there is not
 */
export function parseTemplate(template: string): (answer: Answer) => string {
  const names = Object.keys(FIELDS)
  const nameOf = (written: string): string | undefined =>
    names.find((name) => name.toLowerCase() === written.toLowerCase())
  for (const [, written = ''] of template.matchAll(PLACEHOLDER)) {
    if (nameOf(written) !== undefined) continue
    throw new UsageError(`--format has no field ${written}; there are ${names.join(', ')}`)
  }
  if (/\{\{|\}\}/.test(template.replaceAll(PLACEHOLDER, ''))) {
    throw new UsageError('--format takes fields in double braces, as in {{.digest}}')
  }
  const unescaped = template.replaceAll(/\\[nt\\]/g, (written) => ESCAPES[written] ?? written)
  return (answer) =>
    `${unescaped.replaceAll(PLACEHOLDER, (_all, written: string) => {
      return visible(FIELDS[nameOf(written) ?? '']?.(answer) ?? '-')
    })}\n`
}

/** As `crane digest` prints it; the image's ID where only the node knows it. */
export function digestLine({ digest, imageId }: Answer): string {
  return `${digest ?? imageId}\n`
}

function repositoryOf(reference: string): string {
  const { domain, path } = parseReference(reference)
  return `${domain}/${path}`
}
