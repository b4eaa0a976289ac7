import { SourceText } from '../yaml/source-text.ts'
import {
  type FileImages,
  type FileProblem,
  type ImageMention,
  pinnedReference,
} from './image-mention.ts'

/** As it is written, quotes included. */
interface Word {
  readonly written: string
  /** Offset in its instruction. */
  readonly at: number
}

/** Continuation lines are put together, and comments left out. */
interface Instruction {
  /** In capitals; of ONBUILD that of the instruction behind it. */
  readonly name: string
  readonly isOnBuild: boolean
  /** Behind the name. */
  readonly words: readonly Word[]
  /** Where an offset in it is in the file. */
  readonly placeOf: (offset: number) => number
}

/** Not an image: the empty base (Dockerfile reference, FROM). */
const EMPTY_BASE = 'scratch'
const FROM_OPTION: ReadonlyMap<string, RegExp> = new Map([
  ['COPY', /^--from=(.+)$/d],
  ['RUN', /^--mount=(?:.*,)?"?from=([^,"]+)/di],
])
/** Quotes hold blanks together, and so does the sign of a heredoc with its name. */
const WORD = /(?:<<\s*|\\.?|'[^']*'?|"(?:\\.|[^"\\])*"?|[^\s'"\\])+/gs

/**
 * The images of a Dockerfile: FROM, and COPY `--from` and RUN `--mount=from=`, also behind ONBUILD. Names of
 * earlier stages are no images. What cannot be pinned in its place is passed over and told of. A file with a heredoc
 * that does not end has a problem that says so and no images.
 * (Words, quotes, continuation lines, comments and heredocs as BuildKit reads them.)
 */
export function dockerfileImages(text: string): FileImages {
  const positions = new SourceText(text)
  const mentions: ImageMention[] = []
  const problems: FileProblem[] = []
  const heredocs: Heredoc[] = []
  const stages = new Set<string>([EMPTY_BASE])

  const take = (reference: string, places: readonly number[], path: string): void => {
    // The number of a stage is as good as its name.
    if (stages.has(reference.toLowerCase()) || /^\d*$/.test(reference)) return
    const [start = 0] = places
    const end = (places.at(-1) ?? 0) + 1
    const { line, column } = positions.at(start)
    const why = whyNot(reference, end - start, path)
    if (why === undefined) {
      const pin: ImageMention['pin'] = (to) => [
        { start, end, text: pinnedReference(reference, to) },
      ]
      mentions.push({ reference, line, column, path, pin })
    } else problems.push({ line, column, message: `${path} ${why}: ${reference}`, isBroken: false })
  }

  for (const { isOnBuild, name, placeOf, words } of instructions(text, heredocs)) {
    const count = words.findIndex(({ written }) => !/^--./.test(written))
    const options = count < 0 ? words : words.slice(0, count)
    const [base, as, stage] = words.slice(options.length)
    if (name === 'FROM' && !isOnBuild && base !== undefined) {
      const { offsets, text: reference } = unquoted(base)
      take(reference, offsets.map(placeOf), name)
      if (as?.written.toUpperCase() === 'AS' && stage !== undefined) {
        stages.add(stage.written.toLowerCase())
      }
    }
    for (const option of options) {
      const { offsets, text: meant } = unquoted(option)
      const found = FROM_OPTION.get(name)?.exec(meant)?.indices?.[1]
      if (found === undefined) continue
      const path = `${isOnBuild ? ONBUILD : ''}${name} --${name === 'RUN' ? 'mount ' : ''}from`
      take(meant.slice(...found), offsets.slice(...found).map(placeOf), path)
    }
  }
  const [open] = heredocs
  if (open === undefined) return { mentions, problems }
  const message = `no valid Dockerfile: the heredoc that begins here is not ended by a line "${open.name}"`
  return { mentions: [], problems: [{ ...positions.at(open.at), message, isBroken: true }] }
}

const ONBUILD = 'ONBUILD '

/** @param length of what stands in the file for it */
function whyNot(reference: string, length: number, path: string): string | undefined {
  if (reference.includes('$')) return 'is composed of build arguments'
  if (length !== reference.length) return 'has a quote or a line end within it'
  // The name of a stage has none of these; which stages there are, the file says that is built on this one.
  return path.startsWith(ONBUILD) && !/[:/@]/.test(reference)
    ? 'may be a stage of another Dockerfile'
    : undefined
}

/** @param heredocs those that have begun and not ended */
function* instructions(text: string, heredocs: Heredoc[]): Generator<Instruction> {
  const continuation = ESCAPE.test(text) ? /(?<!`)`[ \t]*$/ : /(?<!\\)\\[ \t]*$/
  let joined = ''
  let lines: { readonly at: number; readonly start: number }[] = []
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline
    const line = text.slice(start, end).replace(/\r$/, '')
    const [heredoc] = heredocs
    if (heredoc !== undefined) {
      const { isIndented, name } = heredoc
      if ((isIndented ? line.replace(/^\t+/, '') : line) === name) heredocs.shift()
    } else if (!/^\s*(#|$)/.test(line)) {
      const content = line.replace(continuation, '')
      lines.push({ at: joined.length, start })
      joined += content
      if (content === line) {
        const instruction = instructionOf(joined, lines)
        heredocs.push(...heredocsOf(instruction))
        yield instruction
        ;[joined, lines] = ['', []]
      }
    }
    start = end + 1
  }
  if (joined !== '') yield instructionOf(joined, lines)
}

/** Parser directives stand before everything else. */
const ESCAPE = /^\uFEFF?(?:[ \t]*#\s*(?:syntax|check)\s*=.*\n)*[ \t]*#\s*escape\s*=\s*`\s*(?:\n|$)/i

function instructionOf(
  joined: string,
  lines: readonly { readonly at: number; readonly start: number }[],
): Instruction {
  const all = [...joined.matchAll(WORD)].map((match) => ({ written: match[0], at: match.index }))
  const isOnBuild = /^ONBUILD$/i.test(all[0]?.written ?? '')
  const [name, ...words] = isOnBuild ? all.slice(1) : all
  let before = 0
  // Offsets come almost in order, so that the line is near.
  const placeOf = (offset: number): number => {
    while ((lines[before + 1]?.at ?? offset + 1) <= offset) before += 1
    while ((lines[before]?.at ?? offset) > offset) before -= 1
    const { at = 0, start = 0 } = lines[before] ?? {}
    return start + offset - at
  }
  return { name: name?.written.toUpperCase() ?? '', isOnBuild, words, placeOf }
}

/** What a word means, with the offset of each of its characters. */
function unquoted({ at, written }: Word) {
  const offsets: number[] = []
  let text = ''
  let quote = ''
  for (let index = 0; index < written.length; index += 1) {
    const sign = written[index] ?? ''
    if (sign === quote) quote = ''
    else if (quote === '' && (sign === '"' || sign === "'")) quote = sign
    else {
      if (sign === '\\' && quote !== "'") index += 1
      text += written[index] ?? ''
      offsets.push(at + index)
    }
  }
  return { text, offsets }
}

/** The line that ends it. */
interface Heredoc {
  readonly name: string
  /** `<<-`: tabs before it do not count. */
  readonly isIndented: boolean
  /** Where the heredoc begins in the file. */
  readonly at: number
}

function heredocsOf({ name, placeOf, words }: Instruction): readonly Heredoc[] {
  if (!/^(RUN|COPY|ADD)$/.test(name)) return []
  return words.flatMap(({ at, written }) => {
    const [, dash, end = ''] = /^\d*<<(-?)\s*([^<]*)$/.exec(written) ?? []
    const { text } = unquoted({ written: end, at: 0 })
    return text === '' ? [] : [{ name: text, isIndented: dash === '-', at: placeOf(at) }]
  })
}
