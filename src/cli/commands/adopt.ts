import { ResolveError } from '../../errors.ts'
import { quote } from '../../reference/quote.ts'
import { parseNormalized } from '../../reference/reference.ts'
import { type AdoptionStep, type KnownStep, planAdoption, type UnknownStep } from '../adoption.ts'
import { waiting } from '../waiting.ts'
import type { NodeNames, World } from '../world.ts'

export interface AdoptCommandOptions {
  readonly open: () => Promise<NodeNames>
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean
  /** Whose images the registries hold that do not say so themselves. */
  readonly domain: string | undefined
  readonly json: boolean
  readonly world: Pick<World, 'stdout' | 'stderr' | 'environment' | 'every'>
}

type Result =
  | UnknownStep
  | (Omit<KnownStep, 'outcome'> & {
      /** `gone`: the image was removed meanwhile. */
      readonly outcome: 'added' | 'would be added' | 'there' | 'taken' | 'gone'
    })

/**
 * Gives the images that another shim has left under the names of configured registries the names
 * that they stand for. Adds names, never takes one away or moves one.
 *
 * @throws ResolveError CONFIG_INVALID for a domain that is none, else as NodeNames
 */
export async function adoptCommand(options: AdoptCommandOptions): Promise<0> {
  const { dryRun, domain, json, world } = options
  const { stdout } = world
  if (domain !== undefined) checkDomain(domain)
  const node = await waiting('the runtime', options.open(), world)
  try {
    const { registries } = node
    const results: Result[] = []
    const images = await waiting('the runtime', node.images(), world)
    for (const step of planAdoption(images, { registries, domain })) {
      const result = await carriedOut(step, dryRun, node)
      results.push(result)
      if (!json) stdout.write(line(result))
    }
    stdout.write(json ? `${JSON.stringify(results, null, 2)}\n` : summary(results))
    return 0
  } finally {
    node.close()
  }
}

function checkDomain(domain: string): void {
  const [parsed, example] = [parsedDomain(`${domain}/a/b`), 'docker.io or quay.io']
  if (parsed === domain) return
  const problem = `--domain ${quote(domain)} is no domain as references have it; write ${example}`
  throw new ResolveError('CONFIG_INVALID', problem)
}

function parsedDomain(name: string): string | undefined {
  try {
    return parseNormalized(name).domain
  } catch {
    return undefined
  }
}

async function carriedOut(step: AdoptionStep, dryRun: boolean, node: NodeNames): Promise<Result> {
  if (step.outcome === 'unknown') return step
  const { outcome, ...names } = step
  if (outcome !== 'add') return { ...names, outcome }
  if (dryRun) return { ...names, outcome: 'would be added' }
  return { ...names, outcome: (await node.name(step.from, step.name)) ? 'added' : 'gone' }
}

function line(result: Result): string {
  if (result.outcome === 'unknown') return `${result.from}: left as it is: ${result.reason}\n`
  const { from, name, outcome } = result
  return `${from} -> ${name}: ${outcome === 'taken' ? 'another image has that name' : outcome}\n`
}

function summary(results: readonly Result[]): string {
  if (results.length === 0) return 'no image has a name of a configured registry\n'
  const counts = new Map<string, number>()
  for (const { outcome } of results) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  return `${[...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ')}\n`
}
