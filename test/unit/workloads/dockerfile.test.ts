import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyEdits } from '../../../src/workloads/image-mention.ts'
import { findImages } from '../../../src/workloads/workload-file.ts'

const DIGEST = `sha256:${'cd'.repeat(32)}`
const NOTHING = { paths: [], args: [] }

describe('the images of a Dockerfile', () => {
  const text = `# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM golang:1.24 AS build
from golang:1.23 as Other
RUN --mount=type=bind,from=tools:1,target=/t \\
    # a comment between
    --mount=type=cache,from=build,target=/c go build
RUN <<EOF
FROM not-an-image:1
EOF
FROM build
COPY --from=alpine:3 --chown=1:1 /etc /etc
COPY --from=0 /a /a
COPY --from=other /a /a
FROM \${BASE}:1
FROM scratch
`
  it('are those of FROM, COPY --from and RUN --mount, without the names of stages', () => {
    const { mentions, problems } = findImages(text, 'Dockerfile', NOTHING)
    assert.deepEqual(
      mentions.map(({ reference, line }) => [reference, line]),
      [
        ['golang:1.24', 2],
        ['golang:1.23', 3],
        ['tools:1', 4],
        ['alpine:3', 11],
      ],
    )
    assert.deepEqual(
      problems.map(({ line, isBroken }) => [line, isBroken]),
      [[14, false]],
    )
  })

  it('are pinned in place', () => {
    const { mentions } = findImages(text, 'app.Dockerfile', NOTHING)
    const edits = mentions.flatMap(({ reference, pin }) =>
      pin({ tag: reference.split(':')[1], digest: DIGEST }),
    )
    const expected = ['golang:1.24', 'golang:1.23', 'tools:1', 'alpine:3'].reduce(
      (changed, image) => changed.replace(image, `${image}@${DIGEST}`),
      text,
    )
    assert.equal(applyEdits(text, edits), expected)
  })

  for (const [start, end] of [
    ["RUN cat <<-'END-OF-FILE' >f", '\tEND-OF-FILE'],
    ['COPY <<f.txt /f.txt', 'f.txt'],
    ['RUN 3<<EOF cat', 'EOF'],
    ['RUN <<EOF', '\tEOF\nFROM here:2\nEOF'],
    ["RUN <<'one two' cat", 'one\nFROM here:2\none two'],
    ['RUN <<E"O"F cat', 'EOF'],
    ['ONBUILD RUN <<EOF', 'EOF'],
    ['RUN << EOF cat', 'EOF'],
    ['RUN --mount=type=cache,target=/c \\\n  <<EOF cat', 'EOF'],
  ]) {
    it(`are none of a heredoc: ${start}`, () => {
      const heredoc = `${start}\nFROM here:1\n${end}\nFROM there:1\n`
      assert.deepEqual(
        findImages(heredoc, 'Dockerfile', NOTHING).mentions.map(({ reference }) => reference),
        ['there:1'],
      )
    })
  }

  it('are those behind a sign of a heredoc without a name', () => {
    const { mentions } = findImages('RUN cat <<- EOF\nFROM here:1\n', 'Dockerfile', NOTHING)
    assert.deepEqual(
      mentions.map(({ reference }) => reference),
      ['here:1'],
    )
  })

  it('are none, and the file is told of, where a heredoc does not end', () => {
    const shift = 'FROM here:1\nRUN a && \\\n  echo $((1 << 20))\nFROM there:1\n'
    const { mentions, problems } = findImages(shift, 'Dockerfile', NOTHING)
    assert.deepEqual(mentions, [])
    assert.deepEqual(
      problems.map(({ column, isBroken, line }) => [line, column, isBroken]),
      [[3, 13, true]],
    )
    assert.match(problems[0]?.message ?? '', /^no valid Dockerfile: .* a line "20\)\)"$/)
  })

  for (const [written, ...images] of [
    ['FROM "one:1" AS b', 'one:1'],
    ["from 'one:1'", 'one:1'],
    ['FROM --platform="linux/amd64" one:1', 'one:1'],
    ['FROM a:1 AS b\nFROM "b"', 'a:1'],
    ['FROM one:1 \\\n  AS \\\n # why\n\n  b\nFROM b', 'one:1'],
    ['FROM one:1\nRUN dir c:\\\\\nFROM two:2', 'one:1', 'two:2'],
    ['# escape=`\nFROM one:1\nRUN dir c:\\\nFROM `\n  two:2', 'one:1', 'two:2'],
    ['# why\n# escape=`\nFROM one:1\nRUN a `\nFROM two:2', 'one:1', 'two:2'],
    ['COPY --link --from="one:1" a b', 'one:1'],
    ["COPY --from='one:1' --chown=1 a b", 'one:1'],
    ['COPY a --from=one:1 b'],
    ['ADD --from=one:1 a b'],
    ['RUN --mount=from="one:1",target=one:1 a', 'one:1'],
    ['RUN --mount="type=bind, from=x,FROM=one:1" a', 'one:1'],
    ["RUN --mount=type=bind,target=/t,from='one:1' --mount=from=two:2 a", 'one:1', 'two:2'],
    ['RUN --mount=\'type=bind,"from=one:1"\' a', 'one:1'],
    ['RUN a --mount=from=one:1'],
    ['RUN -- --mount=from=one:1 a'],
    ['ONBUILD COPY --from=one:1 a b', 'one:1'],
    ['onbuild run --mount=target=/t,from="one:1" a', 'one:1'],
    ['ONBUILD FROM one:1'],
  ] as const) {
    it(`are pinned as they are written: ${written}`, () => {
      const { mentions, problems } = findImages(written, 'Dockerfile', NOTHING)
      assert.deepEqual(
        mentions.map(({ reference }) => reference),
        images,
      )
      assert.deepEqual(problems, [])
      const edits = mentions.flatMap(({ reference, pin }) =>
        pin({ tag: reference.split(':')[1], digest: DIGEST }),
      )
      const expected = images.reduce(
        (text, image) => text.replace(image, `${image}@${DIGEST}`),
        written as string,
      )
      assert.equal(applyEdits(written, edits), expected)
    })
  }

  for (const [written, told] of [
    ['FROM on"e":1', 'FROM has a quote or a line end within it: one:1'],
    ['FROM \\\non\\\ne:1', 'FROM has a quote or a line end within it: one:1'],
    ['COPY --from=$BASE a b', 'COPY --from is composed of build arguments: $BASE'],
    ['ONBUILD COPY --from=b a b', 'ONBUILD COPY --from may be a stage of another Dockerfile: b'],
  ] as const) {
    it(`are passed over and told of: ${written}`, () => {
      const { mentions, problems } = findImages(written, 'Dockerfile', NOTHING)
      assert.deepEqual(mentions, [])
      assert.deepEqual(
        problems.map(({ isBroken, message }) => [isBroken, message]),
        [[false, told]],
      )
    })
  }

  it('are found in an instruction of very many lines', () => {
    const text = `FROM a:1\nRUN${' \\\n --mount=from=b:1'.repeat(100_000)} c\n`
    assert.equal(findImages(text, 'Dockerfile', NOTHING).mentions.length, 100_001)
  })

  it('is known by its first instruction where the name says nothing', () => {
    assert.equal(findImages('ARG A=1\nFROM a:1\n', '-', NOTHING).mentions[0]?.reference, 'a:1')
  })
})

describe('the images of a list', () => {
  it('are one a line, without comments', () => {
    const text = '# images\nnginx:1.27\n\n  quay.io/a/b:1 # why\nregistry:5000/c\r\n'
    for (const name of ['images.txt', '-']) {
      assert.deepEqual(
        findImages(text, name, NOTHING).mentions.map(({ reference }) => reference),
        ['nginx:1.27', 'quay.io/a/b:1', 'registry:5000/c'],
      )
    }
  })
})
