import assert from 'node:assert/strict'
import { test } from 'node:test'
import { traceTree } from '../../../src/cli/answer-text.ts'
import type { CandidateReport } from '../../../src/resolver/types.ts'

const REPORT: CandidateReport = {
  registry: 'hub:5000',
  reference: 'hub:5000/library/nginx:latest',
  priority: 1000,
  origin: false,
  chosen: false,
  outcome: 'unreachable',
  why: 'passed over: it cannot be reached',
  startedMs: 0,
  ms: 2001.4,
  error: { code: 'UNAVAILABLE', message: 'connect ECONNREFUSED' },
  exchanges: [
    { method: 'GET', url: 'http://hub:5000/v2/library/nginx/manifests/latest', ms: 2000 },
  ],
}

test('a trace is shown as a tree with aligned times', () => {
  const lines = traceTree([
    REPORT,
    {
      ...REPORT,
      reference: 'docker.io/library/nginx:latest',
      chosen: true,
      outcome: 'ok',
      why: 'chosen: the best one that answered',
      digest: 'sha256:9d6b',
      startedMs: 300,
      ms: 84,
      exchanges: [
        {
          method: 'HEAD',
          url: 'https://d/v2/',
          status: 200,
          ms: 40,
          remaining: 99,
          warning: 'soon',
        },
      ],
    },
  ])

  assert.deepEqual(lines, [
    '├─ hub:5000/library/nginx:latest                                            +0 ms   2001 ms',
    '│  ├─ GET http://hub:5000/v2/library/nginx/manifests/latest: no answer              2000 ms',
    '│  ├─ connect ECONNREFUSED',
    '│  └─ passed over: it cannot be reached',
    '└─ docker.io/library/nginx:latest                                         +300 ms     84 ms',
    '   ├─ HEAD https://d/v2/: 200, 99 requests left, warning: soon                        40 ms',
    '   ├─ sha256:9d6b',
    '   ├─ connect ECONNREFUSED',
    '   └─ chosen: the best one that answered',
  ])
})

test('a candidate that was not asked has no times', () => {
  const { startedMs: _startedMs, ms: _ms, error: _error, ...unasked } = REPORT

  const lines = traceTree([{ ...unasked, exchanges: [], why: 'not needed: m1 answered first' }])

  assert.deepEqual(lines, [
    '└─ hub:5000/library/nginx:latest',
    '   └─ not needed: m1 answered first',
  ])
})
