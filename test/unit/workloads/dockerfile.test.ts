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
  ]) {
    it(`are none of a heredoc: ${start}`, () => {
      const heredoc = `${start}\nFROM here:1\n${end}\nFROM there:1\n`
      assert.deepEqual(
        findImages(heredoc, 'Dockerfile', NOTHING).mentions.map(({ reference }) => reference),
        ['there:1'],
      )
    })
  }

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
