import type { Config } from '../../src/config/config.ts'
import { parseConfig } from '../../src/config/load.ts'
import { startScriptedRegistry } from '../support/scripted-registry.ts'
import { type Cleanup, temporaryFolder } from '../support/stack.ts'
import {
  basic,
  type Fault,
  GOOD,
  type Hearer,
  NOT_THERE,
  type Secret,
  type Sick,
  serving,
  WHO,
} from './fault.ts'

/** Where the registry that fails stands in the order of asking. The last one is the origin. */
export const PLACES = ['first', 'middle', 'last', 'alone', 'all three'] as const
export type Place = (typeof PLACES)[number]

/** `good` has the image, `bad` fails, `poor` is well and has nothing: nobody after it is spared. */
type Role = 'good' | 'bad' | 'poor'

const ROLES: Record<Place, readonly Role[]> = {
  first: ['bad', 'good', 'good'],
  middle: ['poor', 'bad', 'good'],
  last: ['poor', 'poor', 'bad'],
  alone: ['bad'],
  'all three': ['bad', 'bad', 'bad'],
}

/** Of the entries, and of the caller, who means the origin. */
const OWN = ['first:one-of-ours', 'second:two-of-ours', 'third:three-of-ours'] as const
export const CALLER: Secret = 'pod:secret-of-the-pod'
const SECRETS: readonly Secret[] = [...OWN, CALLER]

interface Standing extends Sick {
  readonly role: Role
  /** As the configuration names it. */
  readonly name: string
}

export interface Scene {
  /** `host[:port]/team/app`, of the origin. */
  readonly repository: string
  readonly config: Config
  /** The same without the registries that fail; undefined: none is left. */
  readonly healthy: Config | undefined
  /** By name, in the order of asking. */
  readonly sick: readonly string[]
  /** Who has to answer when those that fail do not. */
  readonly helper: string | undefined
  /** Requests so far that those that fail have had, with all that they sent us to. */
  sent(): number
  /** Requests so far, of everybody. */
  total(): number
  /** Secrets that came where they do not belong. */
  leaks(): readonly string[]
}

/** On a machine that is busy none is asked beside another, */
const UNHEDGED = { hedgeDelay: 0 }
/** nor is one that answers passed over. */
const PATIENT = { ...UNHEDGED, probeBudget: '20s' }

/** Has to be passed over for its silence. */
export function isSilent({ code, slow }: Fault): boolean {
  return slow === true && code !== undefined
}

/** @param isTimed with the budgets that a service has by default, whatever the fault */
export async function startScene(
  t: Cleanup,
  fault: Fault,
  place: Place,
  isTimed: boolean,
): Promise<Scene> {
  const roles = ROLES[place]
  const standing = await Promise.all(
    roles.map((role, index) => {
      const isOrigin = index === roles.length - 1
      return stand(t, fault, role, isOrigin ? CALLER : (OWN[index] ?? ''), index)
    }),
  )
  const image = temporaryFolder(t)
  const origin = standing.at(-1)?.name ?? ''
  const configOf = (those: readonly Standing[]): Config => {
    const registries = those.map(({ address, fields, name }) => ({
      address,
      auth: OWN[standing.findIndex((each) => each.name === name)],
      priority: 900 - standing.findIndex((each) => each.name === name),
      upstreams: [origin],
      ...fields,
    }))
    const budgets = isTimed ? {} : isSilent(fault) ? UNHEDGED : PATIENT
    const text = JSON.stringify({ image, proxy: {}, registries, ...budgets })
    return parseConfig(text, { file: '/etc/x.yaml', socketExists: () => false, env: {} }).config
  }
  const sick = standing.filter(({ role }) => role === 'bad')
  const well = standing.filter(({ role }) => role !== 'bad')
  const helper = well.find(({ role }) => role === 'good')
  return {
    repository: `${origin}/team/app`,
    config: configOf(standing),
    healthy: helper === undefined ? undefined : configOf(well),
    sick: sick.map(({ name }) => name),
    helper: helper?.name,
    sent: () => count(sick),
    total: () => count(standing),
    leaks: () => standing.flatMap(({ hearers, name }) => hearers.flatMap(leaksAt(name))),
  }
}

async function stand(
  t: Cleanup,
  fault: Fault,
  role: Role,
  secret: Secret,
  index: number,
): Promise<Standing> {
  const sick =
    role === 'bad' ? await fault.start(t, secret, index) : await startWell(t, role, secret)
  return { ...sick, role, name: new URL(sick.address).host }
}

async function startWell(t: Cleanup, role: Role, secret: Secret): Promise<Sick> {
  const known = { authorization: basic(secret) }
  const steps = role === 'good' ? serving(GOOD) : [NOT_THERE]
  const { requests, url } = await startScriptedRegistry(t, [
    WHO,
    ...steps.map((step) => ({ ...step, on: { ...step.on, ...known } })),
    { status: 403, always: true },
  ])
  return { address: url, hearers: [{ name: 'it', requests, allowed: [secret] }] }
}

function count(those: readonly Standing[]): number {
  return those
    .flatMap(({ hearers }) => hearers)
    .reduce((sum, { requests }) => sum + requests.length, 0)
}

function leaksAt(registry: string): (hearer: Hearer) => readonly string[] {
  return ({ allowed, name, requests }) => {
    const heard = JSON.stringify(requests)
    return SECRETS.filter((secret) => !allowed.includes(secret))
      .filter((secret) => heard.includes(passwordOf(secret)) || heard.includes(encoded(secret)))
      .map((secret) => `${secret} at ${registry}, ${name}`)
  }
}

function passwordOf(secret: Secret): string {
  return secret.slice(secret.indexOf(':') + 1)
}

function encoded(secret: Secret): string {
  return Buffer.from(secret).toString('base64')
}
