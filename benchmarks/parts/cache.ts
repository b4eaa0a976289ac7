import { bestPossible } from '../cache/best-possible.ts'
import { bytesPerEntry } from '../cache/memory.ts'
import { ours } from '../cache/ours.ts'
import { type Course, plainMap, type Score, type Strategy, scored } from '../cache/strategy.ts'
import { type Moving, nextUses, questionStream, versionOf } from '../cache/stream.ts'
import type { Cell, Findings, Plot, Settings, Table } from '../report.ts'

const SKEWS = [0.8, 1, 1.2]
const SIZES = [64, 256, 1_024, 4_096, 8_192]
const TTLS_SECONDS = [10, 60, 600, 3_600]
const DEFAULT = { s: 1, size: 1_024, ttlSeconds: 60 }
const IMAGES = 10_000
const HOUR_MS = 3_600_000
const MOVING: Moving = { oneIn: 10, everyMs: 6 * HOUR_MS }
const versionAt = (tag: number, now: number): number => versionOf(tag, now, MOVING)
const PERCENT = 100

/** Simulated, with a clock of its own and the same random numbers each time: no noise, no rounds. */
export async function measureCache({ quick }: Settings): Promise<Findings> {
  const questions = quick ? 30_000 : 80_000
  const bySize = SKEWS.map((s) => {
    const course = courseOf(s, questions)
    const nextUse = nextUses(course.tags)
    const rows = SIZES.map((size) => ({ size, ...scores(course, nextUse, size, 60) }))
    return { s, rows }
  })
  const course = courseOf(DEFAULT.s, questions)
  const nextUse = nextUses(course.tags)
  const byTtl = TTLS_SECONDS.map((ttl) => ({ ttl, ...scores(course, nextUse, DEFAULT.size, ttl) }))
  const hours = (course.times.at(-1) ?? 0) / HOUR_MS
  const stream = `${questions} questions in ${hours.toFixed(1)} hours for ${IMAGES} images by Zipf's law; every 5 minutes a deployment brings a new tag, the old one fades within an hour; one tag in ten moves every 6 hours.`
  return {
    tables: [sizeTable(bySize, stream), ttlTable(byTtl), restartTable(course), memoryTable(quick)],
    plots: [...bySize.map(({ s, rows }) => sizePlot(s, rows)), ttlPlot(byTtl)],
    slower: [staleness(byTtl)],
  }
}

interface Scores {
  readonly own: Score
  readonly best: Score
  readonly map: Score
}

function courseOf(s: number, questions: number): Course {
  const everyMs = 500
  const churn = { deploymentEveryMs: HOUR_MS / 12, fadeMs: HOUR_MS }
  return {
    ...questionStream({ questions, images: IMAGES, s, everyMs, ...churn, seed: 46255 }),
    versionAt,
  }
}

function scores(course: Course, nextUse: Float64Array, size: number, ttlSeconds: number): Scores {
  const limits = { size, ttlMs: ttlSeconds * 1_000, versionAt }
  const of = (strategy: Strategy): Score => scored(strategy, course)
  return {
    own: of(ours(limits)),
    best: of(bestPossible({ ...limits, nextUse })),
    map: of(plainMap(limits)),
  }
}

function sizeTable(
  bySkew: readonly { s: number; rows: readonly ({ size: number } & Scores)[] }[],
  stream: string,
): Table {
  return {
    title: 'By size, TTL 60 s',
    columns: [
      's',
      'size',
      'answered at once, %',
      'known (no GET), %',
      'known, best possible, %',
      'known, plain TTL map, %',
      'GETs per 1,000',
      'HEADs per 1,000',
      'stale per 1,000',
    ],
    rows: bySkew.flatMap(({ s, rows }) =>
      rows.map(({ best, map, own, size }) => [
        String(s),
        size,
        own.answered * PERCENT,
        own.known * PERCENT,
        best.known * PERCENT,
        map.known * PERCENT,
        ...requestCells(own),
      ]),
    ),
    note: `${stream} Known is what replacement decides: the answer was there, fresh or to be confirmed with one HEAD, which no registry counts against a pull limit. The best possible replacement knows the future (Belady).`,
  }
}

function ttlTable(byTtl: readonly ({ ttl: number } & Scores)[]): Table {
  return {
    title: `By TTL, s = ${DEFAULT.s}, size ${DEFAULT.size}`,
    columns: [
      'TTL, s',
      'strategy',
      'answered at once, %',
      'GETs per 1,000',
      'HEADs per 1,000',
      'stale per 1,000',
    ],
    rows: byTtl.flatMap(({ best, map, own, ttl }) => [
      [ttl, 'ours', own.answered * PERCENT, ...requestCells(own)],
      [ttl, 'best possible', best.answered * PERCENT, ...requestCells(best)],
      [ttl, 'plain TTL map', map.answered * PERCENT, ...requestCells(map)],
    ]),
    note: 'Stale: the tag had moved since the answer was learned. Without a cache every question is a GET.',
  }
}

function restartTable(course: Course): Table {
  const { size, ttlSeconds } = DEFAULT
  const limits = { size, ttlMs: ttlSeconds * 1_000, versionAt }
  const restarts = [
    ['never', undefined],
    ['every 6 hours', 6 * HOUR_MS],
    ['every hour', HOUR_MS],
  ] as const
  const rows = restarts.flatMap(([when, restartEveryMs]) => {
    const restarting = restartEveryMs === undefined ? course : { ...course, restartEveryMs }
    const strategies = [
      ['ours', ours(limits)],
      ['ours, nothing saved', ours({ ...limits, saved: false })],
      ['plain TTL map', plainMap(limits)],
    ] as const
    return strategies.map(([name, strategy]) => {
      const score = scored(strategy, restarting)
      return [when, name, score.known * PERCENT, ...requestCells(score)]
    })
  })
  return {
    title: `Restarts, s = ${DEFAULT.s}, size ${size}, TTL ${ttlSeconds} s`,
    columns: [
      'the node restarts',
      'strategy',
      'known (no GET), %',
      'GETs per 1,000',
      'HEADs per 1,000',
      'stale per 1,000',
    ],
    rows,
  }
}

function memoryTable(quick: boolean): Table {
  const sizes = quick ? [1_024] : [1_024, 8_192]
  return {
    title: 'Memory',
    columns: ['entries', 'heap per entry, bytes'],
    rows: sizes.map((size) => [size, bytesPerEntry(size)]),
    note: 'With two ranked references, collected before and after. Written answers, which the HTTP door keeps per entry that was asked for there, are not in it.',
  }
}

function requestCells({ gets, heads, questions, stale }: Score): readonly Cell[] {
  return [gets, heads, stale].map((count) => (count / questions) * 1_000)
}

function sizePlot(s: number, rows: readonly ({ size: number } & Scores)[]): Plot {
  const line = (name: string, of: (scores: Scores) => Score) => ({
    name,
    points: rows.map((row) => [row.size, of(row).known * PERCENT] as const),
  })
  return {
    name: `cache-size-${s}`.replace('.', '-'),
    title: `Questions without a GET by cache size, s = ${s}`,
    xLabel: 'entries',
    yLabel: '% of questions',
    logX: true,
    series: [
      line('best possible', ({ best }) => best),
      line('ours', ({ own }) => own),
      line('plain TTL map', ({ map }) => map),
    ],
  }
}

function ttlPlot(byTtl: readonly ({ ttl: number } & Scores)[]): Plot {
  const line = (name: string, of: (scores: Scores) => number) => ({
    name,
    points: byTtl.map((row) => [row.ttl, of(row)] as const),
  })
  return {
    name: 'cache-ttl',
    title: 'What a TTL buys and costs',
    xLabel: 'TTL, s',
    yLabel: 'per 1,000 questions',
    logX: true,
    series: [
      line('requests, ours', ({ own }) => ((own.gets + own.heads) / own.questions) * 1_000),
      line('requests, TTL map', ({ map }) => ((map.gets + map.heads) / map.questions) * 1_000),
      line('stale, ours', ({ own }) => (own.stale / own.questions) * 1_000),
      line('stale, TTL map', ({ map }) => (map.stale / map.questions) * 1_000),
    ],
  }
}

function staleness(byTtl: readonly ({ ttl: number } & Scores)[]): string {
  const found = byTtl.find(({ ttl }) => ttl === DEFAULT.ttlSeconds)
  if (found === undefined) throw new Error('the default TTL was not measured')
  const { own } = found
  const perMillion = Math.round((own.stale / own.questions) * 1e6)
  return `A cache can be wrong: with the default TTL of ${DEFAULT.ttlSeconds} s, ${perMillion} of a million answers of the simulation named an image whose tag had moved since (PullImage asks the registry each time, and is never among them).`
}
