import { inTurn } from '../../concurrency/in-turn.ts'
import { toResolveError } from '../../errors.ts'
import { parseReference } from '../../reference/reference.ts'
import { toResolveResponse } from '../../resolver/answers.ts'
import type { Answer } from '../../resolver/types.ts'
import type { OpenedResolver } from '../../service/availability.ts'
import { answerText, failureBody, failureText, platformText } from '../answer-text.ts'
import type { Run } from '../command.ts'
import type { CliContext } from '../context.ts'
import { commonExitCode, EXIT, type ExitCode, exitCodeOf } from '../exit-codes.ts'
import { linesOf } from '../lines.ts'
import { filesOf, onlyOne, UsageError, type Values } from '../options.ts'
import { visible, withProgress } from '../output.ts'

/** Half of what one registry is asked at the same time, so that a service beside it goes on. */
const AT_ONCE = 8

interface Told {
  readonly out: string
  readonly err: string
  readonly code: ExitCode
}

/**
 * Resolves references, several at the same time, and prints the answers in the order of the references:
 * for people, as GET /resolve gives them, or by a format. Of several, JSON has one line for each, as
 * POST /resolve has.
 *
 * @param words `-`: those that standard input has, one a line
 * @returns the exit code that all failures share, 1 where they differ; a configuration that cannot be used
 * is thrown as CONFIG_INVALID
 * @throws UsageError when standard input is to have the references, and has none
 */
export const resolveCommand: Run = async (words, values, context) => {
  onlyOne(values, ['json', 'quiet', 'format'])
  const template = values.format === undefined ? undefined : parseTemplate(values.format)
  const format = values.quiet ? digestLine : template
  const { stdout, stderr } = context
  const isOne = words.length === 1 && words[0] !== '-'
  const resolver = await context.resolver(filesOf(values))
  const codes = new Set<ExitCode>()
  try {
    const ask = asking(resolver, { isOne, format, values, context })
    let printed = false
    for await (const { out, err, code } of inTurn(references(words, context), AT_ONCE, ask)) {
      const apart = printed && out !== '' && !values.json && format === undefined
      stdout.write(apart ? `\n${out}` : out)
      stderr.write(err)
      codes.add(code)
      printed ||= out !== ''
      if (stdout.destroyed === true) break
    }
    if (codes.size === 0) {
      throw new UsageError('standard input has no reference; resolve - reads one a line')
    }
    return commonExitCode(codes)
  } finally {
    await resolver.close()
  }
}

async function* references(
  words: readonly string[],
  context: Pick<CliContext, 'stdin'>,
): AsyncGenerator<string> {
  for (const word of words) {
    if (word !== '-') yield word
    else {
      for await (const lines of linesOf(context.stdin)) {
        // Of a line that is too long the beginning is read, which may name another image.
        const texts = lines.map(({ text, tooLong }) => (tooLong ? `${text}…` : text.trim()))
        yield* texts.filter((text) => text !== '')
      }
    }
  }
}

interface AskingOptions {
  readonly isOne: boolean
  /** Print an answer in this way; failures go to standard error as ever. */
  readonly format: ((answer: Answer) => string) | undefined
  readonly values: Values
  readonly context: CliContext
}

/** What is written of one reference. It never rejects. */
function asking(
  resolver: OpenedResolver,
  { isOne, format, values, context }: AskingOptions,
): (reference: string) => Promise<Told> {
  const { all = false, explain = false, json = false, node = false, platform } = values
  const asked = { node, ...(all && { all }), ...(platform !== undefined && { platform }) }
  const whole = explain || all
  const toJson = (body: object): string =>
    isOne ? `${JSON.stringify(body, null, 2)}\n` : `${JSON.stringify(body)}\n`
  const announced = new Set<string>()
  const answer = (reference: string): Promise<Answer> => {
    const awaited = registriesFor(resolver, reference)
    const answered = resolver.answer(reference, asked)
    // Of a thousand references to a silent registry one says so.
    if (announced.has(awaited)) return answered
    announced.add(awaited)
    return withProgress(awaited, answered, context)
  }
  return async (reference) => {
    try {
      const found = await answer(reference)
      if (format !== undefined) return { out: format(found), err: '', code: EXIT.done }
      if (!json) return { out: answerText(found, whole), err: '', code: EXIT.done }
      const body = toResolveResponse(found, explain, whole)
      const out = toJson(isOne ? body : { requested: reference, answer: body })
      return { out, err: '', code: EXIT.done }
    } catch (thrown) {
      const error = toResolveError(thrown)
      const code = exitCodeOf(error.code)
      if (!json) return { out: '', err: failureText(error, whole), code }
      const body = failureBody(error, whole)
      return { out: toJson(isOne ? body : { requested: reference, error: body }), err: '', code }
    }
  }
}

function registriesFor(resolver: OpenedResolver, reference: string): string {
  const registries = resolver.askedFor(reference)
  return registries.length === 0 ? 'an answer' : registries.join(', ')
}

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
  const nameOf = (field: string): string | undefined =>
    names.find((name) => name.toLowerCase() === field.toLowerCase())
  for (const [, field = ''] of template.matchAll(PLACEHOLDER)) {
    if (nameOf(field) !== undefined) continue
    throw new UsageError(`--format has no field ${field}; there are ${names.join(', ')}`)
  }
  if (/\{\{|\}\}/.test(template.replaceAll(PLACEHOLDER, ''))) {
    throw new UsageError('--format takes fields in double braces, as in {{.digest}}')
  }
  const unescaped = template.replaceAll(/\\[nt\\]/g, (sequence) => ESCAPES[sequence] ?? sequence)
  return (answer) =>
    `${unescaped.replaceAll(PLACEHOLDER, (_all, field: string) => {
      return visible(FIELDS[nameOf(field) ?? '']?.(answer) ?? '-')
    })}\n`
}

/** As `crane digest` prints it; the image's ID where only the node knows it. */
function digestLine({ digest, imageId }: Answer): string {
  return `${digest ?? imageId}\n`
}

function repositoryOf(reference: string): string {
  const { domain, path } = parseReference(reference)
  return `${domain}/${path}`
}
