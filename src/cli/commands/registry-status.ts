import type { RegistryStatus } from '../../../api/v1/registries.ts'
import { type Ink, inkFor } from '../ink.ts'
import { formatMs, formatTime } from '../quantity.ts'
import { type Cell, type Row, table } from '../table.ts'
import type { FileOption, World } from '../world.ts'

export interface RegistryStatusOptions {
  readonly files: FileOption
  /** Ask every registry now, also when a service runs. */
  readonly check: boolean
  readonly json: boolean
  readonly world: Pick<World, 'registries' | 'stdout' | 'stderr' | 'environment'>
}

const COLUMNS = [
  { title: 'NAME' },
  { title: 'ADDRESS' },
  { title: 'PRIORITY', right: true },
  { title: 'HEALTHY' },
  { title: 'STATE' },
  { title: 'LATENCY', right: true },
  { title: 'LEFT', right: true },
] as const

/**
 * `registry status`: how the configured registries do, by what the running service has seen, or by
 * asking each of them.
 *
 * @returns the exit code: 0 when all are healthy, 1 when one is not
 */
export async function registryStatusCommand(options: RegistryStatusOptions): Promise<0 | 1> {
  const { check, files, json, world } = options
  const { stdout, stderr, environment } = world
  const registries = await world.registries({ ...files, alone: check })
  try {
    const { alone } = registries
    const body = await registries.statuses()
    if (body.registries.length === 0) stderr.write('image-resolver: no registry is configured\n')
    else if (alone !== undefined) {
      stderr.write(`image-resolver: ${alone}; each registry was asked from here, now\n`)
    }
    stdout.write(
      json
        ? `${JSON.stringify(body, null, 2)}\n`
        : statusTable(body.registries, inkFor(stdout, environment)),
    )
    return body.registries.every(({ healthy }) => healthy) ? 0 : 1
  } finally {
    await registries.close()
  }
}

function statusTable(registries: readonly RegistryStatus[], ink: Ink): string {
  return table(COLUMNS, registries.map(toRow), ink)
}

function toRow(status: RegistryStatus): Row {
  const { name, address, priority, healthy, latencyMs, lastError, lastFailureAt, retryAt } = status
  const below: readonly Cell[] = [
    ...(lastError === undefined
      ? []
      : [
          {
            text: `${formatTime(lastFailureAt)} ${lastError.code}: ${lastError.message}`,
            // Of one that does well again it is history.
            colour: healthy ? ('dim' as const) : ('red' as const),
          },
        ]),
    ...(retryAt === null ? [] : [{ text: `not asked again before ${formatTime(retryAt)}` }]),
  ]
  const yesOrNo: Cell = healthy ? { text: 'yes', colour: 'green' } : { text: 'no', colour: 'red' }
  const cells = [name, address, String(priority), yesOrNo, stateOf(status)]
  return { cells: [...cells, formatMs(latencyMs), requestsLeft(status)], below }
}

/** In the words of people: the breaker of one that was never asked is closed as well. */
function stateOf({ healthy, state, lastSuccessAt, lastFailureAt }: RegistryStatus): string {
  if (lastSuccessAt === null && lastFailureAt === null) return 'not asked yet'
  if (state === 'closed') return healthy ? 'in use' : 'failed'
  return { open: 'left alone', parked: 'wants a pause', 'half-open': 'on probation' }[state]
}

function requestsLeft({ rateLimit }: RegistryStatus): string {
  if (rateLimit === undefined) return '-'
  const { limit, remaining } = rateLimit
  return limit === undefined ? String(remaining) : `${remaining}/${limit}`
}
