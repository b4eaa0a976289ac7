const MAX_READ_CHARACTERS = 1_000

/** What the value of a line begins with, after its name and the dash of a list. */
const VALUE = /^\s*(?:-\s+)*(?:["']?[\w.-]+["']?\s*:\s+)?(\S.*)?$/
const NAMED = /^(\s*)(?:-\s+)*[\w.-]+\s*:\s+\S/

/** Why a parser stumbles there, by what the line itself looks like. First match counts. */
const CAUSES: readonly (readonly [(line: Line) => boolean, string])[] = [
  [({ text }) => /^ *\t/.test(text), 'indent with spaces: YAML takes no tabs there'],
  [
    ({ reason }) => /end of the stream within|deficient indentation/.test(reason),
    'a quote or a bracket that was opened above is not closed',
  ],
  [
    ({ value }) => /^[@`%]/.test(value),
    'a value that begins with @, ` or % has to be in quotes: "@value"',
  ],
  [
    ({ value }) => /^[{[].*[}\]]./.test(value),
    'a value that begins with { or [ has to be in quotes: "{domain}/{path}"',
  ],
  [
    ({ value }) => /^(["']).*\1./.test(value),
    'nothing may follow the quote that ends a value; a value with one kind of quote in it goes between two of the other kind',
  ],
  [
    ({ value }) => /^[^"'{[#][^#]*:(?:\s|$)/.test(value),
    'a value with a colon and a space in it has to be in quotes: "a: b"',
  ],
  [
    ({ text, above }) => indentOf(text) > indentOf(above) && NAMED.test(above),
    'fields that belong together begin in the same column as the one above',
  ],
  [
    ({ above }) => /^[\w.-]+$/.test(above.trim()),
    'the name of a field is followed by a colon, which is missing in the line above',
  ],
  [
    ({ reason }) => /indentation/.test(reason),
    'fields and items that belong together begin in the same column',
  ],
]

interface Line {
  readonly text: string
  readonly value: string
  /** The last line before it that says something. */
  readonly above: string
  readonly reason: string
}

/**
 * What is most likely wrong in a line that is not YAML. Never repeats what stands there.
 *
 * @param line from 1
 * @param reason the parser's own
 * @returns undefined when it could be anything
 */
export function yamlHint(
  lines: readonly string[],
  line: number,
  reason: string,
): string | undefined {
  const text = (lines[line - 1] ?? '').slice(0, MAX_READ_CHARACTERS)
  const above = lines.slice(0, line - 1).findLast((each) => /^\s*[^\s#]/.test(each)) ?? ''
  const value = VALUE.exec(text)?.[1] ?? ''
  return CAUSES.find(([applies]) => applies({ text, value, above, reason }))?.[1]
}

function indentOf(text: string): number {
  return text.search(/\S|$/)
}
