import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { AVAILABILITIES } from '../../api/v1/check.ts'
import { ResolutionCache } from '../../src/resolver/cache/cache.ts'
import { Metrics } from '../../src/telemetry/counters.ts'
import { MetricsPage } from '../../src/telemetry/metrics.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string }
}

interface Shown {
  readonly type: string
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>
}

const LIMITS = { size: 1, tagTtlMs: 1, keepMs: 1 }

/** What `GET /metrics` shows after a little of everything, by name. */
async function shownMetrics(): Promise<ReadonlyMap<string, Shown>> {
  const metrics = new Metrics()
  metrics.failures.add('UNAVAILABLE')
  metrics.exchanges.add('hub:5000', 'GET', '200')
  metrics.calls.add('ImageService/PullImage', 'OK')
  metrics.registryEvents.add('harbor', 'expired')
  const { entries, ...events } = new ResolutionCache(LIMITS, () => 0).counts()
  const text = await new MetricsPage({
    build: { version: '1.2.3', commit: 'abc' },
    metrics,
    cacheEvents: () => events,
    cacheEntries: () => entries,
    imagesInUse: () => Object.fromEntries(AVAILABILITIES.map((state) => [state, 1])),
    registries: () => [{ registry: 'hub:5000', state: 'closed', remaining: 1 }],
  }).text()
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
  return new Map(
    types.map(([, name = '', type = '']) => [name, { type, labels: labelsIn(text, name) }]),
  )
}

function labelsIn(text: string, metric: string): Shown['labels'] {
  const labels = new Map<string, Set<string>>()
  const samples = text.matchAll(new RegExp(`^${metric}(?:_bucket|_sum|_count)?\\{(.*)\\} `, 'gm'))
  for (const [, pairs = ''] of samples) {
    for (const [, name = '', value = ''] of pairs.matchAll(/(\w+)="([^"]*)"/g)) {
      if (name === 'le') continue
      labels.set(name, (labels.get(name) ?? new Set()).add(value))
    }
  }
  return labels
}

function documented(): ReadonlyMap<string, { readonly type: string; readonly labels: string[] }> {
  const rows = read('docs/metrics.md')
    .split('\n')
    .filter((line) => /^\| `(?:image_resolver|process|nodejs)_/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  for (const row of rows) assert.equal(row.length, 6, row.join('|'))
  return new Map(
    rows.map(([, name = '', type = '', labels = '']) => [
      name.replaceAll('`', ''),
      { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label) },
    ]),
  )
}

function rules(): readonly Rule[] {
  const { groups } = load(read('deploy/prometheus/alerts.yaml')) as {
    readonly groups: readonly { readonly rules: readonly Rule[] }[]
  }
  return groups.flatMap((group) => group.rules)
}

test('the page of metrics has every metric of /metrics with its type and labels, and no other', async () => {
  const shown = await shownMetrics()
  const told = documented()

  assert.deepEqual([...told.keys()].toSorted(), [...shown.keys()].toSorted())
  for (const [name, { type, labels }] of shown) {
    assert.equal(told.get(name)?.type, type, name)
    // Of Node's own some have no sample yet; ours have all been touched above.
    if (labels.size === 0 && !name.startsWith('image_resolver_')) continue
    assert.deepEqual(told.get(name)?.labels, [...labels.keys()], name)
  }
})

test('every value that one of our labels can have is explained', async () => {
  const page = read('docs/metrics.md').split('\n')
  const closed = new Set(['source', 'event', 'kind', 'state', 'outcome'])
  let seen = 0

  for (const [name, { labels }] of await shownMetrics()) {
    const row = page.find((line) => line.startsWith(`| \`${name}\``)) ?? ''
    for (const [label, values] of labels) {
      if (!name.startsWith('image_resolver_') || !closed.has(label)) continue
      // Explained once, at the metric that counts.
      if (name === 'image_resolver_resolution_seconds') continue
      for (const value of values) assert.ok(row.includes(`\`${value}\``), `${name} ${value}`)
      seen += values.size
    }
  }

  assert.ok(seen >= 20, `${seen} values`)
})

/** Labels that Prometheus adds to a target, and its own metric. */
const TARGET = ['job', 'instance']

/** @param shown what there is; fails where an expression asks for something else */
function checkExpression(shown: ReadonlyMap<string, Shown>, expr: string, name: string): void {
  const [open, closed] = ['(', ')'].map((sign) => expr.split(sign).length)
  assert.equal(open, closed, name)
  const asked = [...expr.matchAll(/\b(up|(?:image_resolver|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)]
  assert.ok(asked.length > 0, name)
  for (const [, metric = '', selector = ''] of asked) {
    if (metric === 'up') continue
    const base = metric.replace(/_bucket$/, '')
    const { labels } = shown.get(base) ?? assert.fail(`${name}: ${metric}`)
    for (const [, label = '', values = ''] of selector.matchAll(/(\w+)(?:=|!=|=~)"([^"]*)"/g)) {
      if (TARGET.includes(label)) continue
      for (const value of values.split('|')) {
        assert.ok(labels.get(label)?.has(value), `${name}: ${label}=${value}`)
      }
    }
  }
  // Of one metric alone it is known which labels it has.
  const [, grouping = ''] = /\bby \(([^)]*)\)/.exec(expr) ?? []
  const labels = new Set(
    asked.flatMap(([, metric = '']) => [...(shown.get(metric)?.labels.keys() ?? [])]),
  )
  for (const label of grouping.split(/, */)) {
    if (label === '' || label === 'le' || TARGET.includes(label)) continue
    assert.ok(labels.has(label), `${name}: by (${label})`)
  }
}

test('the alerting rules ask for metrics, labels and values that there are', async () => {
  const shown = await shownMetrics()

  assert.ok(rules().length >= 5)
  for (const { alert, expr } of rules()) checkExpression(shown, expr, alert)
})

test('the dashboard asks for metrics, labels and values that there are', async () => {
  const shown = await shownMetrics()
  const { panels, templating } = JSON.parse(read('deploy/grafana/image-resolver.json')) as {
    readonly panels: readonly {
      readonly title: string
      readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
    }[]
    readonly templating: object
  }
  const targets = panels.flatMap(({ targets = [], title }) =>
    targets.map((target) => ({ ...target, title })),
  )

  assert.ok(targets.length >= 20)
  for (const { expr, legendFormat, title } of targets) {
    checkExpression(shown, expr.replaceAll('$__rate_interval', '5m'), title)
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      assert.ok(TARGET.includes(label) || expr.includes(label), `${title}: ${label}`)
    }
  }
  assert.match(JSON.stringify(templating), /label_values\(image_resolver_build_info/)
})

test('every alerting rule is of a form that Prometheus takes, and is explained', () => {
  const page = read('docs/metrics.md')
  const told = [...page.matchAll(/^\| `(ImageResolver\w+)`/gm)].map(([, name]) => name)

  assert.deepEqual(
    told,
    rules().map(({ alert }) => alert),
  )
  for (const rule of rules()) {
    assert.deepEqual(Object.keys(rule), ['alert', 'expr', 'for', 'labels', 'annotations'])
    assert.match(rule.for, /^\d+m$/)
    assert.match(rule.labels.severity, /^(?:critical|warning|info)$/)
    assert.match(rule.annotations.summary, /\{\{ \$labels\.instance \}\}/)
  }
})

test('no rule takes a registry for one that fails while no question has tried it again', () => {
  const about = rules().filter(({ expr }) => expr.includes('image_resolver_registry_state'))

  assert.deepEqual(
    about.map(({ alert }) => alert),
    ['ImageResolverNoRegistry', 'ImageResolverBreakerOpen'],
  )
  for (const { alert, expr } of about) {
    const [, states = ''] = /state=~?"([^"]*)"/.exec(expr) ?? []
    // A rule that wants `closed` counts half-open ones by leaving them out.
    assert.ok(!/half-open|closed/.test(states), `${alert}: ${states}`)
    // After each pause it is half-open for a moment, which would begin the rule's `for` anew.
    assert.match(expr, /avg_over_time\(/, alert)
  }
})

test('Prometheus is told to scrape what the service serves by default, and to read the rules', () => {
  const { scrape_configs: jobs, rule_files: files } = load(
    read('deploy/prometheus/scrape.yaml'),
  ) as {
    readonly scrape_configs: readonly {
      readonly job_name: string
      readonly metrics_path: string
      readonly static_configs: readonly { readonly targets: readonly string[] }[]
    }[]
    readonly rule_files: readonly string[]
  }
  const { http } = load(read('deploy/image-resolver.yaml')) as { http: { listen: string } }

  assert.deepEqual(
    jobs.map(({ job_name: name, metrics_path: path }) => [name, path]),
    [['image-resolver', '/metrics']],
  )
  assert.deepEqual(jobs[0]?.static_configs[0]?.targets, [http.listen])
  assert.ok(rules()[0]?.expr.includes('job="image-resolver"'))
  assert.match(files[0] ?? '', /alerts\.yaml$/)
})

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}
