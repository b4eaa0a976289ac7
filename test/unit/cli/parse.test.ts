import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { describe, test } from 'node:test'
import { type ParsedRow, parseCommand } from '../../../src/cli/commands/parse.ts'

const SHA256 = `sha256:${'ab'.repeat(32)}`
const NOT_OK = {
  ok: false,
  reference: null,
  domain: null,
  path: null,
  tag: null,
  digest: null,
  familiar: null,
}

const folder = process.env['REFERENCE_VECTORS'] ?? ''
const skip = existsSync(folder)
  ? false
  : 'REFERENCE_VECTORS names no folder with recorded answers of the Go libraries'

describe('parse --json', () => {
  test('says everything about a reference, on one line, without adding a tag to what was written', async () => {
    const { text, exitCode } = await run({ json: true, input: 'nginx\n' })

    assert.equal(
      text,
      '{"input":"nginx","ok":true,"reference":"docker.io/library/nginx:latest",' +
        '"domain":"docker.io","path":"library/nginx","tag":null,"digest":null,"familiar":"nginx"}\n',
    )
    assert.equal(exitCode, 0)
  })

  test('keeps tag and digest both', async () => {
    const { rows } = await run({ json: true, input: `corp:5000/app:1@${SHA256}` })

    assert.deepEqual(rows, [
      {
        input: `corp:5000/app:1@${SHA256}`,
        ok: true,
        reference: `corp:5000/app:1@${SHA256}`,
        domain: 'corp:5000',
        path: 'app',
        tag: '1',
        digest: SHA256,
        familiar: `corp:5000/app:1@${SHA256}`,
      },
    ])
  })

  test('answers a bad reference with a row of nulls and the reason, and exits 0', async () => {
    const { rows, exitCode } = await run({ json: true, input: 'Nginx\n' })

    assert.deepEqual(rows, [
      {
        input: 'Nginx',
        error: 'the repository name "Nginx" has upper-case letters: write "nginx"',
        ...NOT_OK,
      },
    ])
    assert.equal(exitCode, 0)
  })

  test('gives a row for each line in its place, for an empty one too, and none for no input', async () => {
    const { rows } = await run({ json: true, input: 'b\n\na\r\n' })
    const nothing = await run({ json: true, input: '' })

    assert.deepEqual(
      rows.map(({ input, ok }) => [input, ok]),
      [
        ['b', true],
        ['', false],
        ['a', true],
      ],
    )
    assert.equal(nothing.text, '')
    assert.equal(nothing.exitCode, 0)
  })

  test('names a line that is too long by its beginning, and reads on', async () => {
    const { rows } = await run({ json: true, input: `${'x'.repeat(70_000)}\nnginx\n` })

    assert.deepEqual(rows[0], {
      input: 'x'.repeat(256),
      error: 'the line is longer than 65536 characters: not read',
      ...NOT_OK,
    })
    assert.equal(rows[1]?.ok, true)
  })

  test('takes references from the arguments and then reads no input', async () => {
    let asked = false
    const stdin = new Readable({
      read() {
        asked = true
        this.push(null)
      },
    })

    const { rows } = await run({ json: true, references: ['nginx', 'redis:7'], stdin })

    assert.deepEqual(
      rows.map(({ familiar }) => familiar),
      ['nginx', 'redis:7'],
    )
    assert.equal(asked, false)
  })

  test('agrees with every recorded answer of distribution/reference', { skip }, async () => {
    const { vectors } = JSON.parse(
      readFileSync(join(folder, 'distribution-reference.vectors.json'), 'utf8'),
    ) as { readonly vectors: readonly Record<string, unknown>[] }
    const input = vectors.map((row) => `${row['input']}\n`).join('')

    const { rows } = await run({ json: true, input })

    assert.equal(rows.length, vectors.length)
    for (const [index, recorded] of vectors.entries()) {
      const sha512 = recorded['whenSha512Registered'] as Record<string, unknown> | undefined
      const { error, ...row } = rows[index] as ParsedRow
      assert.equal(typeof error, row.ok ? 'undefined' : 'string')
      if (sha512 !== undefined) {
        const { ok, digest, reference } = row
        assert.deepEqual(
          [ok, digest, reference],
          [
            sha512['ok'],
            sha512['digest'],
            // A digest takes no default tag.
            sha512['normalized'],
          ],
        )
        continue
      }
      assert.deepEqual(row, {
        input: recorded['input'],
        ok: recorded['ok'],
        reference: recorded['withDefaultTag'],
        domain: recorded['domain'],
        path: recorded['path'],
        tag: recorded['tag'],
        digest: recorded['digest'],
        familiar: recorded['familiar'],
      })
    }
  })
})

describe('parse', () => {
  test('writes an aligned block for people, and exits 0', async () => {
    const { text, exitCode } = await run({ json: false, input: `app@${SHA256}\n` })

    assert.equal(
      text,
      [
        `app@${SHA256}`,
        `  reference  docker.io/library/app@${SHA256}`,
        '  domain     docker.io',
        '  path       library/app',
        '  tag        -',
        `  digest     ${SHA256}`,
        `  familiar   app@${SHA256}`,
        '',
        '',
      ].join('\n'),
    )
    assert.equal(exitCode, 0)
  })

  test('exits 1 when one reference of many is bad, and still shows the others', async () => {
    const { text, exitCode } = await run({ json: false, input: 'nginx\nno space\nredis\n' })

    assert.equal(exitCode, 3)
    assert.match(text, /library\/nginx:latest/)
    assert.match(text, /^"no space"\n {2}error {6}reference "no space" has white space/m)
    assert.match(text, /library\/redis:latest/)
  })

  test('lets no terminal escape through', async () => {
    const { text } = await run({ json: false, input: '\u001b[31mred\u009b0m\n' })

    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(text, /[\x1b\x9b]/)
    assert.match(text, /^"\\u\{1b\}\[31mred/)
  })
})

describe('the output of parse', () => {
  test('holds the input back while the reader is slow', async () => {
    let read = 0
    async function* stdin(): AsyncGenerator<string> {
      for (; read < 100; read += 1) yield `image-${read}\n`
    }
    let release: (() => void) | undefined
    let chunks = 0
    const stdout = new Writable({
      highWaterMark: 1,
      write(_chunk, _encoding, done) {
        chunks += 1
        if (chunks === 1) release = done
        else done()
      },
    })

    const running = parseCommand([], { json: true }, { stdin: stdin(), stdout })
    while (release === undefined) await new Promise(setImmediate)
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate)
    const readWhileBlocked = read
    release()

    assert.equal(await running, 0)
    assert.ok(readWhileBlocked < 10, `${readWhileBlocked} lines were read ahead`)
    assert.equal(chunks, 100)
  })

  test('may be closed early by its reader: the command ends, quietly', async () => {
    async function* stdin(): AsyncGenerator<string> {
      for (;;) yield 'nginx\n'
    }
    const stdout = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      },
    })

    const exitCode = await parseCommand([], { json: true }, { stdin: stdin(), stdout })

    assert.equal(exitCode, 0)
  })

  test('passes any other failure on', async () => {
    const stdout = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error('no space left'), { code: 'ENOSPC' }))
      },
    })

    await assert.rejects(
      parseCommand(['nginx'], { json: true }, { stdin: Readable.from([]), stdout }),
      { code: 'ENOSPC' },
    )
  })

  test('passes a broken input on', async () => {
    const stdin = new Readable({
      read() {
        this.destroy(new Error('read failed'))
      },
    })

    await assert.rejects(
      parseCommand([], { json: true }, { stdin, stdout: { write: () => true } }),
      { message: 'read failed' },
    )
  })

  test('stays open for the next writer', async () => {
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done() })

    await parseCommand(['nginx'], { json: true }, { stdin: Readable.from([]), stdout })

    assert.equal(stdout.writableEnded, false)
    assert.equal(stdout.destroyed, false)
  })
})

interface Run {
  readonly json: boolean
  readonly input?: string
  readonly references?: readonly string[]
  readonly stdin?: AsyncIterable<string | Uint8Array>
}

async function run({
  json,
  input = '',
  references = [],
  stdin = Readable.from([Buffer.from(input)]),
}: Run) {
  let text = ''
  const stdout = {
    write(chunk: string): void {
      text += chunk
    },
  }

  const exitCode = await parseCommand(references, { json }, { stdin, stdout })

  const rows = json
    ? text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as ParsedRow)
    : []
  return { text, rows, exitCode }
}
