import { digits } from './markdown.ts'
import type { Plot } from './report.ts'

const WIDTH = 720
const HEIGHT = 400
const LEFT = 70
const RIGHT = 190
const TOP = 40
const BOTTOM = 50
/** Told apart by most who do not see all colours (Okabe and Ito), and by their dashes. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00']
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '', '6 3']
const TICKS = 5

interface Scale {
  (value: number): number
  readonly ticks: readonly number[]
}

/** Lines over one pair of axes, in an SVG that needs nothing else and reads on any background. */
export function plotSvg(plot: Plot): string {
  const points = plot.series.flatMap((series) => series.points)
  const xs = points.map(([x]) => x)
  const ys = points.map(([, y]) => y)
  const x = scale(xs, [LEFT, WIDTH - RIGHT], plot.logX ?? false, false)
  const y = scale(ys, [HEIGHT - BOTTOM, TOP], plot.logY ?? false, true)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(plot.title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(LEFT, 22, plot.title, 'font-size="14" font-weight="bold"'),
    ...y.ticks.flatMap((tick) => [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(y(tick))}" y2="${at(y(tick))}" stroke="#dddddd"/>`,
      text(LEFT - 8, y(tick) + 4, digits(tick), 'text-anchor="end"'),
    ]),
    ...x.ticks.map((tick) =>
      text(x(tick), HEIGHT - BOTTOM + 18, digits(tick), 'text-anchor="middle"'),
    ),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, plot.xLabel, 'text-anchor="middle"'),
    `<g transform="rotate(-90 16 ${HEIGHT / 2})">${text(16, HEIGHT / 2, plot.yLabel, 'text-anchor="middle"')}</g>`,
    ...plot.series.flatMap((series, index) => {
      const colour = COLOURS[index % COLOURS.length] ?? '#000000'
      const dash = DASHES[index % DASHES.length] ?? ''
      const path = series.points.map(([px, py]) => `${at(x(px))},${at(y(py))}`).join(' ')
      const legendY = TOP + 10 + index * 20
      const legendX = WIDTH - RIGHT + 16
      const stroke = `stroke="${colour}" stroke-width="2"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}`
      return [
        `<polyline fill="none" ${stroke} points="${path}"/>`,
        ...series.points.map(
          ([px, py]) => `<circle cx="${at(x(px))}" cy="${at(y(py))}" r="3" fill="${colour}"/>`,
        ),
        `<line x1="${legendX}" x2="${legendX + 24}" y1="${legendY}" y2="${legendY}" ${stroke}/>`,
        text(legendX + 30, legendY + 4, series.name),
      ]
    }),
    '</svg>',
    '',
  ].join('\n')
}

/** Of a logarithmic axis every value is a tick; of the others round numbers from 0 on. */
function scale(
  values: readonly number[],
  [from, to]: readonly [number, number],
  isLog: boolean,
  isRound: boolean,
): Scale {
  const distinct = [...new Set(values)].sort((a, b) => a - b)
  const low = isLog ? (distinct[0] ?? 1) : 0
  const top = distinct.at(-1) ?? 1
  const step = niceStep(top / TICKS)
  const high = isLog || !isRound ? top : Math.max(step, Math.ceil(top / step - 1e-9) * step)
  const ticks = isLog ? spaced(distinct) : steps(high, step)
  const bent = (value: number): number => (isLog ? Math.log(value) : value)
  const span = bent(high) - bent(low)
  const place = (value: number): number =>
    span === 0 ? from : from + ((bent(value) - bent(low)) / span) * (to - from)
  return Object.assign(place, { ticks })
}

function spaced(distinct: readonly number[]): readonly number[] {
  const every = Math.ceil(distinct.length / (TICKS * 2))
  return distinct.filter((_, index) => index % every === 0)
}

function steps(high: number, step: number): readonly number[] {
  return Array.from({ length: Math.round(high / step) + 1 }, (_, index) => index * step)
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough))
  return ([1, 2, 5].find((each) => each * power >= rough) ?? 10) * power
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${at(x)}" y="${at(y)}" fill="#222222" ${attributes}>${escaped(content)}</text>`
}

function at(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
