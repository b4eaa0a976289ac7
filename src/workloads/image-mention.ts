/** One replacement in a text. */
export interface Edit {
  /** Offset of the first character that is replaced, in UTF-16 code units. */
  readonly start: number
  /** Offset behind the last one; equal to `start` where text is inserted. */
  readonly end: number
  readonly text: string
}

/** A place in a file that names an image. */
export interface ImageMention {
  /** The image as the file means it, which may be composed of several fields: `nginx:1.27`. */
  readonly reference: string
  /** Of the field that is edited; both begin at 1. */
  readonly line: number
  readonly column: number
  /** Where it stands in its document, for a person: `spec.containers[0].image`. */
  readonly path: string
  /**
   * What is to be edited, so that the place names that digest by that tag.
   *
   * @param pin `tag` undefined: the reference has none and gets none
   */
  pin(pin: Pin): readonly Edit[]
}

export interface Pin {
  readonly tag: string | undefined
  /** `algorithm:hex`. */
  readonly digest: string
}

/** What keeps a place, or a whole file, from being read. */
export interface FileProblem {
  readonly line: number
  readonly column: number
  /** One sentence without an end. */
  readonly message: string
  /** The file is broken: nothing of it may be written. Otherwise this one place is passed over. */
  readonly isBroken: boolean
  /** The images of a place that cannot be pinned, where they are known. */
  readonly images?: readonly string[]
}

/** The images that a file names, in the order of the text, and what could not be read. */
export interface FileImages {
  readonly mentions: readonly ImageMention[]
  readonly problems: readonly FileProblem[]
}

/** `name:tag@digest` as the field was written: nothing but tag and digest changes. */
export function pinnedReference(written: string, { tag, digest }: Pin): string {
  const [name = ''] = written.split('@')
  const colon = name.lastIndexOf(':')
  const repository = colon > name.lastIndexOf('/') ? name.slice(0, colon) : name
  return `${repository}${tag === undefined ? '' : `:${tag}`}@${digest}`
}

/**
 * The text with all edits made. Edits of the same place are made once: an anchor may be mentioned
 * by several aliases.
 *
 * @throws RangeError where edits overlap
 */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const ordered = [...edits].sort((one, other) => one.start - other.start || one.end - other.end)
  const parts: string[] = []
  let end = 0
  let before: Edit | undefined
  for (const edit of ordered) {
    const isSame =
      before?.start === edit.start && before.end === edit.end && before.text === edit.text
    if (isSame) continue
    if (edit.start < end) throw new RangeError(`two edits overlap at ${edit.start}`)
    parts.push(text.slice(end, edit.start), edit.text)
    end = edit.end
    before = edit
  }
  parts.push(text.slice(end))
  return parts.join('')
}
