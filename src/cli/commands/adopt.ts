import { ResolveError } from '../../errors.ts'
import { quote } from '../../reference/quote.ts'
import { formatReference, parseNormalized, type Reference } from '../../reference/reference.ts'
import type { RegistryEntry } from '../../registry/entry.ts'
import { isPublicRegistry } from '../../registry/public-registries.ts'
import { ConfiguredRegistries } from '../../registry/registries.ts'
import { mirrorRepository } from '../../resolver/candidates.ts'
import type { NodeImage } from '../../runtime/types.ts'
import type { Run } from '../command.ts'
import type { NodeNames } from '../context.ts'
import { fileOf } from '../options.ts'
import { print, withProgress } from '../output.ts'

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
export const adoptCommand: Run = async (_words, values, context) => {
  const { 'dry-run': dryRun = false, domain, json = false } = values
  const { stdout } = context
  if (domain !== undefined) checkDomain(domain)
  const opening = context.names({ file: fileOf(values) })
  const node = await withProgress('the runtime', opening, context)
  try {
    const { registries } = node
    const results: Result[] = []
    const images = await withProgress('the runtime', node.images(), context)
    for (const step of planAdoption(images, { registries, domain })) {
      const result = await carriedOut(step, dryRun, node)
      results.push(result)
      if (!json) stdout.write(line(result))
    }
    print(context, json, results, () => summary(results))
    return 0
  } finally {
    node.close()
  }
}

function checkDomain(domain: string): void {
  const example = 'docker.io or quay.io'
  if (parsed(`${domain}/a/b`)?.domain === domain) return
  const problem = `--domain ${quote(domain)} is no domain as references have it; write ${example}`
  throw new ResolveError('CONFIG_INVALID', problem)
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

/** What is to become of one name of a configured registry that an image on the node has. */
type AdoptionStep = KnownStep | UnknownStep

interface KnownStep {
  readonly imageId: string
  /** The name it has: `sealos.hub:5000/library/nginx:1`. */
  readonly from: string
  /** The name that this one stands for. */
  readonly name: string
  /** `add`: to be given; `there`: the image has it; `taken`: another image has it. */
  readonly outcome: 'add' | 'there' | 'taken'
}

interface UnknownStep {
  readonly imageId: string
  readonly from: string
  readonly outcome: 'unknown'
  /** Why it is not known what it stands for. */
  readonly reason: string
}

interface AdoptionOptions {
  /** In the order of asking. */
  readonly registries: readonly RegistryEntry[]
  /** The domain of images on registries that do not name one; as in `--domain`. */
  readonly domain: string | undefined
}

/**
 * Which original names images would have had, had they come through this service: image-cri-shim
 * leaves them under the names of its registries, and drops the original's domain on the way. A domain
 * is known where the entry's `path` has it or its `upstreams` are one; else `domain` has to say it. Every guess
 * is tried the other way round: an original that would not be asked of that registry, by that
 * path, is none (`hub/pause` cannot be docker.io's, which would be `hub/library/pause`).
 */
export function planAdoption(
  images: readonly NodeImage[],
  { registries, domain }: AdoptionOptions,
): readonly AdoptionStep[] {
  const serving = new ConfiguredRegistries(registries, 1)
  const holders = new Map(images.flatMap((image) => namesOf(image).map((name) => [name, image.id])))
  const steps: AdoptionStep[] = []
  // Where two registries have different images for one name, the one that is asked first is right.
  for (const entry of registries) {
    for (const image of images) {
      for (const from of namesOf(image)) {
        const mirrored = parsed(from)
        if (mirrored === undefined || !isOf(mirrored, entry)) continue
        steps.push(step(image, from, original(mirrored, entry, serving, domain), holders))
      }
    }
  }
  // A runtime lists its images in another order each time; the report should not.
  return settled(steps).toSorted((one, other) => (one.from < other.from ? -1 : 1))
}

function namesOf({ repoTags, repoDigests }: NodeImage): readonly string[] {
  return [...repoTags, ...repoDigests]
}

function parsed(name: string): Reference | undefined {
  try {
    return parseNormalized(name)
  } catch {
    return undefined
  }
}

/** What a public registry's names say is what was asked for. */
function isOf({ domain, path }: Reference, { endpoint }: RegistryEntry): boolean {
  if (domain !== endpoint.host || isPublicRegistry(endpoint.host)) return false
  return endpoint.prefix === '' || path.startsWith(`${endpoint.prefix}/`)
}

type Original = { readonly name: string } | { readonly reason: string }

function original(
  mirrored: Reference,
  entry: RegistryEntry,
  serving: ConfiguredRegistries,
  wanted: string | undefined,
): Original {
  const found = takenApart(mirrored.path, entry)
  if (found === undefined) return { reason: `its path is none of ${entry.name}` }
  const domain = found.domain ?? onlyUpstream(entry) ?? wanted
  if (domain === undefined) return { reason: 'its domain is not known; --domain says it' }
  const repository = parsed(`${domain}/${found.path}`)
  if (
    repository === undefined ||
    mirrorRepository(repository, entry) !== mirrored.path ||
    !serving.serving(repository).includes(entry)
  ) {
    return { reason: `no image of ${domain} is asked for there by that path` }
  }
  const { tag, digest } = mirrored
  return { name: formatReference({ ...repository, tag, digest }) }
}

/** The `path` template of the entry, read backwards. */
function takenApart(
  repository: string,
  { path: template = '{path}', endpoint }: RegistryEntry,
): { readonly domain: string | undefined; readonly path: string } | undefined {
  const below = endpoint.prefix === '' ? repository : repository.slice(endpoint.prefix.length + 1)
  const pattern = template
    .replaceAll('.', '\\.')
    .replace('{domain}', '(?<domain>[^/]+)')
    .replace('{path}', '(?<path>.+)')
  const { domain, path } = new RegExp(`^${pattern}$`).exec(below)?.groups ?? {}
  if (path === undefined) return undefined
  // No path has a colon, so a port stands behind an underscore, which no domain has.
  return { domain: domain?.replace(/_(?=\d+$)/, ':'), path }
}

function onlyUpstream({ upstreams }: RegistryEntry): string | undefined {
  const domains = new Set(upstreams?.map((upstream) => upstream.split('/')[0] ?? ''))
  const [domain] = domains
  return domains.size === 1 && domain?.startsWith('*.') === false ? domain : undefined
}

function step(
  { id }: NodeImage,
  from: string,
  found: Original,
  holders: ReadonlyMap<string, string>,
): AdoptionStep {
  if ('reason' in found) return { imageId: id, from, outcome: 'unknown', reason: found.reason }
  const holder = holders.get(found.name)
  const outcome = holder === undefined ? 'add' : holder === id ? 'there' : 'taken'
  return { imageId: id, from, name: found.name, outcome }
}

/** One step for each name: a known one from any entry of its host; and each new name once. */
function settled(steps: readonly AdoptionStep[]): readonly AdoptionStep[] {
  const known = new Set(
    steps.filter(({ outcome }) => outcome !== 'unknown').map(({ from }) => from),
  )
  const given = new Map<string, string>()
  const seen = new Set<string>()
  return steps.flatMap((each) => {
    if (seen.has(each.from)) return []
    if (each.outcome === 'unknown' && known.has(each.from)) return []
    seen.add(each.from)
    if (each.outcome !== 'add') return [each]
    const holder = given.get(each.name) ?? each.imageId
    given.set(each.name, holder)
    return [holder === each.imageId ? each : { ...each, outcome: 'taken' as const }]
  })
}
