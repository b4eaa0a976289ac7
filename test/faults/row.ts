import type { Config } from '../../src/config/config.ts'
import { type ResolveError, toResolveError } from '../../src/errors.ts'
import { parseReference } from '../../src/reference/reference.ts'
import type { Resolution, ResolveOptions } from '../../src/resolver/types.ts'
import { type Core, createCore } from '../../src/service/core.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import type { Cleanup } from '../support/stack.ts'
import { type Fault, GOOD } from './fault.ts'
import { CALLER, isSilent, type Place, type Scene, startScene } from './scene.ts'

/** What was seen of one fault at one place. */
export interface Row {
  readonly fault: Fault
  readonly place: Place
  readonly scene: Pick<Scene, 'sick' | 'helper'>
  readonly ended: Resolution | ResolveError
  readonly ms: number
  /** Requests to those that fail, and to everybody. */
  readonly sent: number
  readonly total: number
  readonly leaks: readonly string[]
  /** Further resolutions right after; absent where nothing is remembered that would spare one, or was no more. */
  readonly again?: Again
}

export interface Again {
  /** Of the quickest. */
  readonly ms: number
  /** How long that takes where those that fail were never configured; 0 where nobody else is there. */
  readonly healthyMs: number
  /** Requests to those that fail. */
  readonly sent: number
  /** Of each. */
  readonly ends: readonly (Resolution | ResolveError)[]
}

const [username = '', password = ''] = CALLER.split(':')
const OPTIONS: ResolveOptions = {
  credentials: { kind: 'basic', username, password },
}
/** After which a silent registry is given up where no times are looked at. */
const SILENCE_MS = 3_000
/** What a registry that is known to fail may cost, ms. */
export const REMEMBERED_MS = 5
/** Any of them may be held up by something else on this machine. */
const REPEATS = { least: 3, most: 50 }
/** A registry that failed rests for at least 750 ms: all that are to be spared by that begin before. */
const REST_MS = 700

export async function measureRow(
  { fault, place }: Pick<Row, 'fault' | 'place'>,
  isTimed: boolean,
): Promise<Row> {
  const ends: (() => unknown)[] = []
  const t: Cleanup = { after: (end) => void ends.push(end) }
  try {
    return await measured(t, fault, place, isTimed)
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function measured(t: Cleanup, fault: Fault, place: Place, isTimed: boolean): Promise<Row> {
  const scene = await startScene(t, fault, place, isTimed)
  const healthy = await startHealthy(t, scene)
  const attemptTimeoutMs = isTimed || !isSilent(fault) ? undefined : SILENCE_MS
  const core = startCore(t, scene.config, attemptTimeoutMs)
  const { asks = 'tag' } = fault
  const asked = `${scene.repository}${asks === 'digest' ? `@${GOOD.digest}` : ':1'}`
  if (asks === 'known') await ask(core, asked)
  const [sentBefore, totalBefore] = [scene.sent(), scene.total()]
  const first = await timed(() => ask(core, asked, { refresh: asks === 'known' }))
  const failedAt = performance.now()
  const seen = {
    fault,
    place,
    scene,
    ...first,
    sent: scene.sent() - sentBefore,
    total: scene.total() - totalBefore,
  }
  const again = isSpared(fault, scene) ? await repeated(core, scene, healthy, failedAt) : undefined
  return { ...seen, ...(again && { again }), leaks: scene.leaks() }
}

/** A dead registry is asked all the same where nobody else is there; one that wants a pause is not. */
function isSpared({ remembered }: Fault, { helper }: Scene): boolean {
  return remembered === 'parked' || (remembered === 'dead' && helper !== undefined)
}

/** What is compared with: its connections stand, and it knows who wants a user. */
async function startHealthy(t: Cleanup, scene: Scene): Promise<Core | undefined> {
  if (scene.healthy === undefined) return undefined
  const core = startCore(t, scene.healthy)
  await ask(core, `${scene.repository}:warm`)
  return core
}

/**
 * With and without those that fail in turn, so that what else this machine does meets both.
 *
 * @returns undefined where the machine took so long that the rest was over
 */
async function repeated(
  core: Core,
  scene: Scene,
  healthy: Core | undefined,
  failedAt: number,
): Promise<Again | undefined> {
  const { repository, sent } = scene
  const before = sent()
  let sentWhileResting = 0
  const [times, healthyTimes]: [number[], number[]] = [[], []]
  const ends: (Resolution | ResolveError)[] = []
  const best = () => ({
    ms: Math.min(...times),
    healthyMs: healthy === undefined ? 0 : Math.min(...healthyTimes),
  })
  const isSeen = () => best().ms - best().healthyMs <= REMEMBERED_MS
  const isOver = () => performance.now() - failedAt > REST_MS
  for (let turn = 0; turn < REPEATS.most; turn += 1) {
    if (turn >= REPEATS.least && isSeen()) break
    const reference = `${repository}:again-${turn}`
    const { ended, ms } = await timed(() => ask(core, reference))
    if (isOver()) break
    sentWhileResting = sent() - before
    times.push(ms)
    ends.push(ended)
    if (healthy) healthyTimes.push((await timed(() => ask(healthy, reference))).ms)
  }
  return ends.length === 0 ? undefined : { ends, ...best(), sent: sentWhileResting }
}

async function timed(work: () => Promise<Resolution | ResolveError>) {
  const startedAt = performance.now()
  const ended = await work()
  return { ended, ms: performance.now() - startedAt }
}

function ask(
  core: Core,
  reference: string,
  options: ResolveOptions = {},
): Promise<Resolution | ResolveError> {
  return core.resolver
    .resolve(parseReference(reference), { ...OPTIONS, ...options })
    .catch(toResolveError)
}

function startCore(t: Cleanup, config: Config, attemptTimeoutMs?: number): Core {
  const core = createCore(config, silentLogger(), () => undefined, attemptTimeoutMs)
  t.after(() => core.close())
  return core
}
