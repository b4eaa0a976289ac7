import { type CheckedRegistry, joined } from '../checked-registry.ts'
import { inkFor } from '../ink.ts'
import { formatMs, formatTime } from '../quantity.ts'
import { type Cell, type Row, table } from '../table.ts'
import { waiting } from '../waiting.ts'
import type { FileOption, Registries, World } from '../world.ts'

export interface RegistryStatusOptions {
  readonly files: FileOption
  /** Ask no service, only the registries. */
  readonly check: boolean
  readonly json: boolean
  readonly world: Pick<World, 'registries' | 'stdout' | 'stderr' | 'environment' | 'every'>
}

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
 * @returns the exit code: 0 when all are healthy, 1 when one is not or nobody knows
 */
export async function registryStatusCommand(options: RegistryStatusOptions): Promise<0 | 1> {
  const { json, world } = options
  const { stdout, stderr, environment } = world
  const { alone, registries } = await waiting('the registries', lookAtAll(options), world)
  if (registries.length === 0) stderr.write('image-resolver: no registry is configured\n')
  else if (alone !== undefined) {
    stderr.write(`image-resolver: ${alone}; what it makes of the registries is not known\n`)
  }
  const ink = inkFor(stdout, environment)
  stdout.write(
    json
      ? `${JSON.stringify({ registries }, null, 2)}\n`
      : table(COLUMNS, registries.map(toRow), ink),
  )
  return registries.every(({ healthy }) => healthy === true) ? 0 : 1
}
/** What they say now, and what the service that runs with this configuration has seen of them. */
async function lookAtAll({ check, files, world }: RegistryStatusOptions): Promise<{
  readonly alone: string | undefined
  readonly registries: readonly CheckedRegistry[]
}> {
  const first = await world.registries({ ...files, alone: check })
  // Without a service it is the registries themselves that answer.
  if (check || first.alone !== undefined) {
    const { registries: measured } = await closing(first, () => first.statuses())
    return { alone: first.alone, registries: joined(measured, undefined) }
  }
  const [seen, measured] = await Promise.all([
    closing(first, () => first.statuses()),
    world
      .registries({ ...files, alone: true })
      .then((registries) => closing(registries, () => registries.statuses())),
  ])
  return { alone: undefined, registries: joined(measured.registries, seen.registries) }
}

async function closing<T>(registries: Registries, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    await registries.close()
  }
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
