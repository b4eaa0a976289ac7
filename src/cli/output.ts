import { styleText } from 'node:util'

type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/** Text in a colour, or as it is where colours are not shown. */
export type Colors = (text: string, colour: Colour) => string

/** A stream that may be a terminal. */
export interface OutputStream {
  write(text: string): unknown
  readonly isTTY?: boolean
  /** Its reader is gone. */
  readonly destroyed?: boolean
}

/**
 * Colours on a terminal alone, and not where NO_COLOR (no-color.org) or TERM=dumb ask for none: what
 * is piped into a file or a program is plain text.
 */
export function colorsFor(
  { isTTY }: Pick<OutputStream, 'isTTY'>,
  environment: Readonly<Record<string, string | undefined>>,
): Colors {
  const { NO_COLOR: noColour = '', TERM: terminal } = environment
  if (isTTY !== true || noColour !== '' || terminal === 'dumb') return (text) => text
  return (text, colour) => styleText(colour, text, { validateStream: false })
}

/** What a command has found: with `json` as it is, else as text for people. */
export function print(
  { environment, stdout }: Printing,
  json: boolean | undefined,
  body: object,
  describe: (colors: Colors) => string,
): void {
  const text = json
    ? `${JSON.stringify(body, null, 2)}\n`
    : describe(colorsFor(stdout, environment))
  stdout.write(text)
}

interface Printing {
  readonly stdout: OutputStream
  readonly environment: Readonly<Record<string, string | undefined>>
}

export interface Cell {
  readonly text: string
  readonly colour?: Colour
}

interface Column {
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
export function table(columns: readonly Column[], rows: readonly Row[], colors: Colors): string {
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
      const shown = colour === undefined ? text : colors(text, colour)
      if (right) return gap + shown
      return isLast ? shown : shown + gap
    })
    return padded.join(GAP).trimEnd()
  }
  const head = line(columns.map(({ title }) => ({ text: title, colour: 'bold' })))
  const lines = rows.flatMap(({ below = [] }, index) => [
    line(body[index] ?? []),
    ...below.map(toCell).map(({ text, colour }) => {
      return `${GAP}${colour === undefined ? text : colors(text, colour)}`
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

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** In IEC units with at most four digits: `67.3 MiB`. */
export function formatSize(bytes: number): string {
  let [value, power] = [bytes, 0]
  // 1000 MiB is 1.0 GiB: four digits before the unit are hard to compare.
  while (value >= 999.5 && power < UNITS.length - 1) {
    value /= 1024
    power += 1
  }
  return `${value.toFixed(power === 0 || value >= 99.95 ? 0 : 1)} ${UNITS[power]}`
}

/** null: `-`. */
export function formatMs(ms: number | null): string {
  if (ms === null) return '-'
  if (ms < 0.0995) return `${Math.max(1, Math.round(ms * 1_000))} µs`
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  return `${(ms / 1_000).toFixed(1)} s`
}

/** The two largest units: `3 d 4 h`, `5 min 2 s`. */
export function formatSpan(seconds: number): string {
  const whole = Math.round(seconds)
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3_600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return '0 s'
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ')
}

/** @param share 0 to 1; null: `-` */
export function formatShare(share: number | null): string {
  return share === null ? '-' : `${(share * 100).toFixed(1)} %`
}

/** RFC 3339 in, without its milliseconds out: `2026-01-31 12:00:00Z`. null: `-`. */
export function formatTime(time: string | null): string {
  return time === null ? '-' : time.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
}

export interface ProgressOptions {
  readonly stderr: OutputStream
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Runs something again and again; returns what ends that. Default: the clock of this process. */
  readonly every?: ((ms: number, run: () => void) => () => void) | undefined
}

const SECOND_MS = 1_000
/** With what stands around it, a line of a terminal. */
const MAX_SHOWN = 40
/** Between two lines in a log. */
const REPEATED_S = 30
const ERASED = '\r\u001b[K'

/**
 * Shows on standard error what a command waits for: on a terminal each second, in a line that is erased
 * with the answer; anywhere else once, after a second, and every half a minute where `awaited` tells how far it is.
 *
 * @param awaited a registry, or several with commas between; as a function, what is to be said each time
 * @returns what `work` does
 */
export async function withProgress<T>(
  awaited: string | (() => string),
  work: Promise<T>,
  { stderr, environment, every = everyInterval }: ProgressOptions,
): Promise<T> {
  const redrawn = stderr.isTTY === true && environment['TERM'] !== 'dumb'
  const isTold = typeof awaited === 'function'
  const said = (): string => {
    const whole = isTold ? awaited() : `still waiting for ${awaited}`
    const limit = isTold ? whole.length : whole.length - awaited.length + MAX_SHOWN
    return visible(whole.length > limit ? `${whole.slice(0, limit)}…` : whole)
  }
  let seconds = 0
  const cancel = every(SECOND_MS, () => {
    seconds += 1
    const line = `${said()} (${seconds} s)`
    if (redrawn) stderr.write(`${ERASED}${line}`)
    else if (seconds === 1 || (isTold && seconds % REPEATED_S === 0))
      stderr.write(`image-resolver: ${line}\n`)
  })
  try {
    return await work
  } finally {
    cancel()
    if (redrawn && seconds > 0) stderr.write(ERASED)
  }
}

function everyInterval(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms)
  return () => clearInterval(timer)
}
