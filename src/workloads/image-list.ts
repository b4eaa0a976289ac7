import { type FileImages, pinnedReference, TextPositions } from './image-mention.ts'

/** A plain list: one image a line; what follows a `#` at the start or behind white space is a comment. */
export function listImages(text: string): FileImages {
  const positions = new TextPositions(text)
  const mentions = [...text.matchAll(/^[ \t]*([^\s#]\S*)/gm)].map((match) => {
    const reference = match[1] ?? ''
    const start = match.index + match[0].length - reference.length
    const { line, column } = positions.at(start)
    return {
      reference,
      line,
      column,
      path: `line ${line}`,
      pin: (pin: Parameters<typeof pinnedReference>[1]) => [
        { start, end: start + reference.length, text: pinnedReference(reference, pin) },
      ],
    }
  })
  return { mentions, problems: [] }
}
