import type { Findings, Settings } from './report.ts'

/** One part of the suite, which runs in a process of its own. */
export interface Part {
  readonly name: string
  readonly title: string
  /** After that no further round is begun. */
  readonly targetSeconds: number
  /** It is ended when it takes longer. */
  readonly limitSeconds: number
  /** Only when it is asked for by name. */
  readonly onRequest?: boolean
  readonly load: () => Promise<{ readonly measure: (settings: Settings) => Promise<Findings> }>
}

export const PARTS: readonly Part[] = [
  {
    name: 'latency',
    title: 'Resolution latency by path',
    targetSeconds: 40,
    limitSeconds: 90,
    load: async () => ({ measure: (await import('./parts/latency.ts')).measureLatency }),
  },
  {
    name: 'cache',
    title: 'Cache hit rate',
    targetSeconds: 30,
    limitSeconds: 80,
    load: async () => ({ measure: (await import('./parts/cache.ts')).measureCache }),
  },
  {
    name: 'http',
    title: 'HTTP',
    targetSeconds: 70,
    limitSeconds: 110,
    load: async () => ({ measure: (await import('./parts/http.ts')).measureHttp }),
  },
  {
    name: 'cri',
    title: 'CRI',
    targetSeconds: 60,
    limitSeconds: 100,
    load: async () => ({ measure: (await import('./parts/cri.ts')).measureCri }),
  },
  {
    name: 'pulls',
    title: 'Pulling and removing',
    targetSeconds: 60,
    limitSeconds: 110,
    load: async () => ({ measure: (await import('./parts/pulls.ts')).measurePulls }),
  },
  {
    name: 'mirror',
    title: 'Blobs through /v2',
    targetSeconds: 40,
    limitSeconds: 120,
    load: async () => ({ measure: (await import('./parts/mirror.ts')).measureMirror }),
  },
  {
    name: 'alternatives',
    title: 'The usual alternatives',
    targetSeconds: 35,
    limitSeconds: 80,
    load: async () => ({ measure: (await import('./parts/alternatives.ts')).measureAlternatives }),
  },
  {
    name: 'footprint',
    title: 'Footprint',
    targetSeconds: 70,
    limitSeconds: 200,
    load: async () => ({ measure: (await import('./parts/footprint.ts')).measureFootprint }),
  },
  {
    name: 'fleet',
    title: 'A fleet with a shared store',
    targetSeconds: 420,
    limitSeconds: 900,
    onRequest: true,
    load: async () => ({ measure: (await import('./parts/fleet.ts')).measureFleet }),
  },
  {
    name: 'soak',
    title: 'Soak',
    targetSeconds: 600,
    limitSeconds: 900,
    onRequest: true,
    load: async () => ({ measure: (await import('./parts/soak.ts')).measureSoak }),
  },
]
