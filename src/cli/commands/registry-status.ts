import type { RegistryStatus } from '../../../api/v1/registries.ts'
import type { Run } from '../command.ts'
import type { CliContext } from '../context.ts'
import { filesOf, type Values } from '../options.ts'
import { type Cell, formatMs, formatTime, print, type Row, table, withProgress } from '../output.ts'

const COLUMNS = [
  { title: 'NAME' },
  { title: 'ADDRESS' },
  { title: 'PRIORITY', right: true },
  { title: 'HEALTHY' },
  { title: 'LATENCY', right: true },
  { title: 'CHECKED' },
  { title: 'STATE' },
  { title: 'LEFT', right: true },
] as const

/**
 * `registry status`: asks each configured registry now, and shows with it what the running service makes
 * of it.
 *
 * @returns the exit code: 0 when all are healthy, 1 when one is not, or it is not known
 */
export const registryStatusCommand: Run = async (_words, values, context) => {
  const { stderr } = context
  const looking = lookAtAll(values, context)
  const { alone, registries } = await withProgress('the registries', looking, context)
  if (registries.length === 0) stderr.write('image-resolver: no registry is configured\n')
  else if (alone !== undefined) {
    stderr.write(`image-resolver: ${alone}; what it makes of the registries is not known\n`)
  }
  print(context, values.json, { registries }, (colors) =>
    table(COLUMNS, registries.map(toRow), colors),
  )
  return registries.every(({ healthy }) => healthy === true) ? 0 : 1
}

/** What they say now, and what the service that runs with this configuration has seen of them. */
async function lookAtAll(values: Values, context: CliContext) {
  const ask = async (alone: boolean) => {
    const opened = await context.registries({ ...filesOf(values), alone })
    try {
      return { alone: opened.alone, ...(await opened.statuses()) }
    } finally {
      await opened.close()
    }
  }
  const { check = false } = values
  const first = await ask(check)
  // Without a service it is the registries themselves that answer.
  if (check || first.alone !== undefined) {
    return { alone: first.alone, registries: joined(first.registries, undefined) }
  }
  const measured = await ask(true)
  return { alone: undefined, registries: joined(measured.registries, first.registries) }
}

function toRow(status: CheckedRegistry): Row {
  const { name, address, priority, healthy, latencyMs, checkedAt, lastError } = status
  const below: readonly Cell[] = [
    ...(lastError === undefined
      ? []
      : [
          {
            text: `${formatTime(status.lastFailureAt)} ${lastError.code}: ${lastError.message}`,
            // Of one that does well again it is history.
            colour: healthy ? ('dim' as const) : ('red' as const),
          },
        ]),
    ...(status.retryAt === null
      ? []
      : [{ text: `not asked again by the service before ${formatTime(status.retryAt)}` }]),
  ]
  const cells = [name, address, String(priority), HEALTH[String(healthy)] ?? 'unknown']
  const measured = [formatMs(latencyMs), formatTime(checkedAt)]
  return { cells: [...cells, ...measured, stateOf(status), requestsLeft(status)], below }
}

const HEALTH: Readonly<Record<string, Cell>> = {
  true: { text: 'yes', colour: 'green' },
  false: { text: 'no', colour: 'red' },
  null: { text: 'unknown', colour: 'yellow' },
}

/** In the words of people: the breaker of one that was never asked is closed as well. */
function stateOf({ service, state }: CheckedRegistry): string {
  if (service === undefined) return '-'
  if (service === 'absent') return 'not loaded yet'
  if (service === 'new') return 'not asked yet'
  return {
    closed: 'in use',
    open: 'left alone',
    parked: 'wants a pause',
    'half-open': 'on probation',
  }[state]
}

function requestsLeft({ rateLimit }: CheckedRegistry): string {
  if (rateLimit === undefined) return '-'
  const { limit, remaining } = rateLimit
  return limit === undefined ? String(remaining) : `${remaining}/${limit}`
}

/** A registry as it answered now, and as the running service knows it. */
interface CheckedRegistry extends Omit<RegistryStatus, 'healthy'> {
  /** It answered now; null: not known, it was not asked. */
  readonly healthy: boolean | null
  /** When it was asked; null: it was not. */
  readonly checkedAt: string | null
  /** `new`: never asked by it; `absent`: not known to it; undefined: there is no service. */
  readonly service?: 'used' | 'new' | 'absent'
}

/**
 * @param measured what each registry of the file said now, in the order of asking
 * @param seen what the service has of each, which may run with an older file; undefined: there is none
 * @returns those of the file first, then those that only the service knows
 */
function joined(
  measured: readonly RegistryStatus[],
  seen: readonly RegistryStatus[] | undefined,
): readonly CheckedRegistry[] {
  const byName = new Map(seen?.map((status) => [status.name, status]))
  const names = new Set(measured.map(({ name }) => name))
  const unmeasured = (seen ?? []).filter(({ name }) => !names.has(name))
  return [
    ...measured.map((status) => {
      const known = byName.get(status.name)
      if (seen === undefined) return measuredNow(status)
      if (known === undefined) return { ...measuredNow(status), service: 'absent' as const }
      return { ...both(measuredNow(status), known), service: useOf(known) }
    }),
    ...unmeasured.map((status) => ({
      ...status,
      healthy: null,
      latencyMs: null,
      checkedAt: null,
      service: useOf(status),
    })),
  ]
}

function measuredNow(status: RegistryStatus): CheckedRegistry {
  const { healthy, lastFailureAt, lastSuccessAt, latencyMs } = status
  return {
    ...status,
    latencyMs: healthy ? latencyMs : null,
    checkedAt: healthy ? lastSuccessAt : lastFailureAt,
  }
}

/** The past and the breaker are the service's; the present is what was measured now. */
function both(now: CheckedRegistry, known: RegistryStatus): CheckedRegistry {
  const { healthy, latencyMs, checkedAt, lastError = known.lastError } = now
  return {
    ...known,
    healthy,
    latencyMs,
    checkedAt,
    lastSuccessAt: now.lastSuccessAt ?? known.lastSuccessAt,
    lastFailureAt: now.lastFailureAt ?? known.lastFailureAt,
    ...(lastError !== undefined && { lastError }),
  }
}

function useOf({ lastSuccessAt, lastFailureAt }: RegistryStatus): 'used' | 'new' {
  return lastSuccessAt === null && lastFailureAt === null ? 'new' : 'used'
}
