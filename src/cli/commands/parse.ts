import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { codeOf, toResolveError } from '../../errors.ts'
import { quote } from '../../reference/quote.ts'
import {
  familiarReference,
  formatReference,
  parseNormalized,
  withDefaultTag,
} from '../../reference/reference.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { type Line, linesOf, MAX_LINE_CHARACTERS } from '../lines.ts'
import type { Values } from '../options.ts'

/** What one reference is, or why it is none; then the other fields are null. */
export interface ParsedRow {
  /** As it was written; only the beginning of a line that was too long to read. */
  readonly input: string
  readonly ok: boolean
  /** One line for people; absent when ok. */
  readonly error?: string
  /** Normalised, with the default tag; tag and digest both kept. */
  readonly reference: string | null
  readonly domain: string | null
  readonly path: string | null
  /** As it was written: null where the default tag was added. */
  readonly tag: string | null
  readonly digest: string | null
  /** The short form Docker shows, without the default tag. */
  readonly familiar: string | null
}

/**
 * Parses references without the network, in the order they come, while they come. With `--json` it prints one
 * object a line, else a block of lines for people.
 *
 * Resolves to the exit code. With `--json` that is 0 also when a reference is bad: rows are data, and
 * each carries its own `ok`. Without, it is 3 as soon as one is bad. A reader that closes the
 * pipe early (`| head`) ends the command quietly.
 *
 * @param references where there are none, one a line is read from `stdin`
 */
export async function parseCommand(
  references: readonly string[],
  { json = false }: Values,
  { stdin, stdout }: Pick<CliContext, 'stdin' | 'stdout'>,
): Promise<number> {
  const lines = references.length > 0 ? argumentLines(references) : linesOf(stdin)
  let failed = 0

  async function* output(): AsyncGenerator<string> {
    for await (const batch of lines) {
      const rows = batch.map(parseLine)
      failed += rows.filter((row) => !row.ok).length
      yield rows.map(json ? formatJson : formatText).join('')
    }
  }

  try {
    // pipeline waits for a slow reader, and ends when the reader is gone.
    if (stdout instanceof Writable) await pipeline(output(), stdout, { end: false })
    else for await (const text of output()) stdout.write(text)
  } catch (error) {
    if (!isClosedPipe(error)) throw error
  }
  return json || failed === 0 ? EXIT.done : EXIT.malformed
}

async function* argumentLines(references: readonly string[]): AsyncGenerator<readonly Line[]> {
  yield references.map((text) => ({ text, tooLong: false }))
}

function parseLine({ text, tooLong }: Line): ParsedRow {
  if (tooLong) {
    return failure(text, `the line is longer than ${MAX_LINE_CHARACTERS} characters: not read`)
  }
  try {
    const reference = parseNormalized(text)
    return {
      input: text,
      ok: true,
      reference: formatReference(withDefaultTag(reference)),
      domain: reference.domain,
      path: reference.path,
      tag: reference.tag ?? null,
      digest: reference.digest ?? null,
      familiar: familiarReference(reference),
    }
  } catch (error) {
    return failure(text, toResolveError(error).message)
  }
}

function failure(input: string, error: string): ParsedRow {
  const nothing = { reference: null, domain: null, path: null, tag: null, digest: null }
  return { input, ok: false, error, ...nothing, familiar: null }
}

function formatJson(row: ParsedRow): string {
  return `${JSON.stringify(row)}\n`
}

function formatText({ input, ok, error, ...fields }: ParsedRow): string {
  // What is no reference may hold anything, terminal escapes too.
  if (error !== undefined) return `${quote(input)}\n  error      ${error}\n\n`
  const lines = Object.entries(fields).map(
    ([name, value]) => `  ${name.padEnd(10)} ${value ?? '-'}\n`,
  )
  return `${input}\n${lines.join('')}\n`
}

function isClosedPipe(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE'
}
