import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Line, linesOf, MAX_LINE_CHARACTERS } from '../../../src/cli/lines.ts'

describe('linesOf', () => {
  for (const [name, chunks, expected] of [
    ['nothing from nothing', [], []],
    ['nothing from empty chunks', ['', Buffer.alloc(0)], []],
    ['a line that no newline ends', ['a'], ['a']],
    ['no line after the last newline', ['a\n'], ['a']],
    ['an empty line', ['\n'], ['']],
    ['empty lines between and at the end', ['a\n\nb\n\n'], ['a', '', 'b', '']],
    ['lines cut anywhere', ['a', 'b\nc', '\n', 'd\ne'], ['ab', 'c', 'd', 'e']],
    ['Windows line endings', ['a\r\nb\r', '\n\r\n', 'c\r'], ['a', 'b', '', 'c']],
    ['a carriage return inside a line', ['a\rb\n'], ['a\rb']],
    ['a character cut in two', [Buffer.from([0xc3]), Buffer.from([0xa9, 0x0a])], ['é']],
    ['a character that never ends', [Buffer.from([0x61, 0xc3])], ['a\ufffd']],
    ['no byte order mark', [Buffer.from('\ufeffa\n\ufeffb\n')], ['a', '\ufeffb']],
  ] as const) {
    test(`reads ${name}`, async () => {
      const lines = await collect(chunks)

      assert.deepEqual(
        lines,
        expected.map((text) => ({ text, tooLong: false })),
      )
    })
  }

  test('reads a line of the greatest length whole', async () => {
    const text = 'x'.repeat(MAX_LINE_CHARACTERS)

    assert.deepEqual(await collect([`${text}\n`]), [{ text, tooLong: false }])
    assert.deepEqual(await collect([text, '\n']), [{ text, tooLong: false }])
  })

  test('keeps the beginning of a longer line, and finds the next one', async () => {
    const piece = 'x'.repeat(MAX_LINE_CHARACTERS / 2)
    const expected = [
      { text: 'x'.repeat(256), tooLong: true },
      { text: 'next', tooLong: false },
    ]

    assert.deepEqual(await collect([`${piece}${piece}x\nnext\n`]), expected)
    assert.deepEqual(await collect([piece, piece, 'x', piece, piece, 'x', '\nnext\n']), expected)
    assert.deepEqual(await collect([piece, piece, 'x']), expected.slice(0, 1))
  })

  test('yields the lines of a chunk before the next chunk is asked for', async () => {
    const asked: string[] = []
    async function* chunks(): AsyncGenerator<string> {
      for (const chunk of ['a\nb\n', 'c\n']) {
        asked.push(chunk)
        yield chunk
      }
    }
    const batches = linesOf(chunks())

    const first = await batches.next()

    assert.equal(first.value?.length, 2)
    assert.deepEqual(asked, ['a\nb\n'])
    await batches.return(undefined)
  })
})

async function collect(chunks: readonly (string | Uint8Array)[]): Promise<readonly Line[]> {
  const lines: Line[] = []
  for await (const batch of linesOf(stream(chunks))) lines.push(...batch)
  return lines
}

async function* stream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}
