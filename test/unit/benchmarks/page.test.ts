import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withResults } from '../../../benchmarks/page.ts'
import { plotSvg } from '../../../benchmarks/plot.ts'

const BEGIN = '<!-- results: written by `npm run bench`, from benchmarks/results -->'
const END = '<!-- end of results -->'

test('results replace those of the last time and nothing else', () => {
  const page = `before\n${BEGIN}\nold\n${END}\nafter\n`

  const once = withResults(page, 'new')

  assert.equal(once, `before\n${BEGIN}\n\nnew\n${END}\nafter\n`)
  assert.equal(withResults(once, 'new'), once)
})

test('a page without a place for results is refused', () => {
  assert.throws(() => withResults('text', 'new'), /no place for results/)
  assert.throws(() => withResults(`${END}${BEGIN}`, 'new'), /no place for results/)
})

test('a plot has a line for each series, inside its frame, and no open markup', () => {
  const svg = plotSvg({
    name: 'p',
    title: 'a < b & c',
    xLabel: 'x',
    yLabel: 'y',
    logX: true,
    series: [
      {
        name: 'one',
        points: [
          [64, 10],
          [8_192, 90],
        ],
      },
      {
        name: 'two',
        points: [
          [64, 0],
          [8_192, 50],
        ],
      },
    ],
  })

  const lines = [...svg.matchAll(/<polyline [^>]*points="([^"]+)"/g)].map(
    ([, points = '']) => points,
  )
  const numbers = lines.flatMap((line) => line.split(/[ ,]/).map(Number))
  assert.equal(lines.length, 2)
  assert.ok(
    numbers.every((number) => number >= 0 && number <= 720),
    lines.join(' '),
  )
  assert.ok(svg.includes('a &lt; b &amp; c') && !svg.includes('a < b'))
})
