import type { Colour, Ink } from './ink.ts'

export interface Cell {
  readonly text: string
  readonly colour?: Colour
}

export interface Column {
  readonly title: string
  /** Numbers stand below each other at their last digit. */
  readonly right?: true
}

export interface Row {
  readonly cells: readonly (string | Cell)[]
  /** What is too long for a column, each in a line of its own below the row. */
  readonly below?: readonly Cell[]
}

const GAP = '  '

/**
 * Rows as text, columns as wide as their longest cell. No cell is ever cut: names are copied from
 * here. What registries send cannot move the cursor or colour anything.
 *
 * @returns '' without rows
 */
export function table(columns: readonly Column[], rows: readonly Row[], ink: Ink): string {
  if (rows.length === 0) return ''
  const body = rows.map(({ cells }) => cells.map(toCell))
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...body.map((cells) => cells[index]?.text.length ?? 0)),
  )
  const line = (cells: readonly Cell[]): string => {
    const padded = columns.map(({ right }, index) => {
      const { text = '', colour } = cells[index] ?? {}
      const isLast = index === columns.length - 1
      const gap = ' '.repeat(Math.max(0, (widths[index] ?? 0) - text.length))
      const inked = colour === undefined ? text : ink(text, colour)
      if (right) return gap + inked
      return isLast ? inked : inked + gap
    })
    return padded.join(GAP).trimEnd()
  }
  const head = line(columns.map(({ title }) => ({ text: title, colour: 'bold' })))
  const lines = rows.flatMap(({ below = [] }, index) => [
    line(body[index] ?? []),
    ...below.map(toCell).map(({ text, colour }) => {
      return `${GAP}${colour === undefined ? text : ink(text, colour)}`
    }),
  ])
  return `${[head, ...lines].join('\n')}\n`
}

function toCell(cell: string | Cell): Cell {
  if (typeof cell === 'string') return { text: visible(cell) }
  return { ...cell, text: visible(cell.text) }
}

/** Control characters, and those that turn the direction of writing, as their numbers. */
export function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  )
}
