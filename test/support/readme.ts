/** One command of a document, and what it is said to print. */
export interface Example {
  readonly command: string
  readonly output: string
}

/** The `console` blocks that stand below `<!-- tested -->`: `$ command`, then its output. */
export function examplesOf(markdown: string): readonly Example[] {
  const blocks = markdown.matchAll(/<!-- tested -->\n```console\n([\s\S]*?)```/g)
  return [...blocks].flatMap(([, block = '']) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((text) => {
        const [command = '', ...lines] = text.trimEnd().split('\n')
        return { command, output: lines.join('\n') }
      }),
  )
}

/** What is written, as a pattern: `…` stands for anything in its line. */
export function patternOf(output: string): RegExp {
  const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${output.split('…').map(literal).join('.*')}$`)
}
