import {
  type FileImages,
  type FileProblem,
  type ImageMention,
  pinnedReference,
  TextPositions,
} from './image-mention.ts'

interface Word {
  readonly text: string
  readonly start: number
}

/** Not an image: the empty base (Dockerfile reference, FROM). */
const EMPTY_BASE = 'scratch'

/**
 * The images of a Dockerfile: FROM, COPY and ADD `--from`, and RUN `--mount=from=`. Names of earlier
 * stages are no images. What is composed of build arguments is passed over and told of.
 * (Dockerfile reference, FROM, COPY --from, RUN --mount; continuation lines, comments and heredocs
 * as BuildKit's parser reads them.)
 */
export function dockerfileImages(text: string): FileImages {
  const positions = new TextPositions(text)
  const mentions: ImageMention[] = []
  const problems: FileProblem[] = []
  const stages = new Set<string>([EMPTY_BASE])

  const take = (word: Word, path: string): void => {
    const { line, column } = positions.at(word.start)
    // The number of a stage is as good as its name.
    if (stages.has(word.text.toLowerCase()) || /^\d+$/.test(word.text)) return
    if (word.text.includes('$')) {
      const message = `${path} is composed of build arguments: ${word.text}`
      problems.push({ line, column, message, isBroken: false })
      return
    }
    const end = word.start + word.text.length
    mentions.push({
      reference: word.text,
      line,
      column,
      path,
      pin: (pin) => [{ start: word.start, end, text: pinnedReference(word.text, pin) }],
    })
  }

  for (const words of instructions(text)) {
    const [instruction, ...rest] = words
    const name = instruction?.text.toUpperCase()
    if (name === 'FROM') {
      const [base, as, stage] = rest.filter((word) => !word.text.startsWith('--'))
      if (base !== undefined) take(base, 'FROM')
      if (as?.text.toUpperCase() === 'AS' && stage !== undefined) {
        stages.add(stage.text.toLowerCase())
      }
    } else if (name === 'COPY' || name === 'ADD' || name === 'RUN') {
      for (const word of rest) {
        if (!word.text.startsWith('--')) break
        const from = fromOption(word)
        if (from !== undefined) take(from, `${name} --${name === 'RUN' ? 'mount ' : ''}from`)
      }
    }
  }
  return { mentions, problems }
}

/** `--from=IMAGE`, or the `from=IMAGE` of a `--mount`. */
function fromOption({ text, start }: Word): Word | undefined {
  const from =
    /^--from=(["']?)([^"']+)\1$/.exec(text) ?? /^(--mount=(?:.*,)?from=)([^,]+)/.exec(text)
  const image = from?.[2]
  if (from === null || image === undefined) return undefined
  return { text: image, start: start + text.indexOf(image, text.indexOf('from=') + 5) }
}

/** The words of each instruction, with their places; comments and the texts of heredocs are left out. */
function* instructions(text: string): Generator<readonly Word[]> {
  const continuation = /^#\s*escape\s*=\s*`/im.test(firstComments(text)) ? '`' : '\\'
  let words: Word[] = []
  const heredocs: Heredoc[] = []
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline
    const line = text.slice(start, end).replace(/\r$/, '')
    const [heredoc] = heredocs
    if (heredoc !== undefined) {
      const { name, isIndented } = heredoc
      if ((isIndented ? line.replace(/^\t+/, '') : line) === name) heredocs.shift()
    } else if (!/^\s*(#|$)/.test(line)) {
      const continues = line.trimEnd().endsWith(continuation)
      const content = continues ? line.trimEnd().slice(0, -1) : line
      for (const match of content.matchAll(/\S+/g)) {
        words.push({ text: match[0], start: start + match.index })
      }
      if (!continues) {
        heredocs.push(...heredocsOf(words))
        yield words
        words = []
      }
    }
    start = end + 1
  }
  if (words.length > 0) yield words
}

/** The line that ends it. */
interface Heredoc {
  readonly name: string
  /** `<<-`: tabs before it do not count. */
  readonly isIndented: boolean
}

function heredocsOf(words: readonly Word[]): readonly Heredoc[] {
  if (!/^(RUN|COPY|ADD)$/i.test(words[0]?.text ?? '')) return []
  return words.flatMap(({ text }) => {
    const [, dash, , name] = /^\d*<<(-?)(["']?)([^<"']+)\2$/.exec(text) ?? []
    return name === undefined ? [] : [{ name, isIndented: dash === '-' }]
  })
}

/** Parser directives stand before everything else. */
function firstComments(text: string): string {
  return /^(?:[ \t]*#[^\n]*\n)*/.exec(text)?.[0] ?? ''
}
