import { ResolveError } from '../errors.ts'
import { quote } from './quote.ts'

/** An OCI platform (image-spec, "Image Index Property Descriptions"). */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

const SPECIFIER = /^[a-z0-9_.-]{1,64}\/[a-z0-9_.-]{1,64}(?:\/[a-z0-9_.-]{1,64})?$/i

/** Names of uname and Debian; a variant here replaces the one that was name. */
const ALIASES: ReadonlyMap<string, { readonly architecture: string; readonly variant?: string }> =
  new Map([
    ['x86_64', { architecture: 'amd64' }],
    ['x86-64', { architecture: 'amd64' }],
    ['aarch64', { architecture: 'arm64' }],
    ['i386', { architecture: '386', variant: '' }],
    ['armhf', { architecture: 'arm', variant: 'v7' }],
    ['armel', { architecture: 'arm', variant: 'v6' }],
  ])

/** `architecture/variant` as name, to the variant it means; '' is none. */
const VARIANTS: ReadonlyMap<string, string> = new Map([
  ['amd64/v1', ''],
  ['arm64/8', ''],
  ['arm64/v8', ''],
  ['arm/', 'v7'],
  ['arm/5', 'v5'],
  ['arm/6', 'v6'],
  ['arm/7', 'v7'],
  ['arm/8', 'v8'],
])

/** Node's names where they differ from the ones that images carry. */
const NODE_ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ['x64', 'amd64'],
  ['ia32', '386'],
  ['mipsel', 'mipsle'],
  // Node runs on Linux only where that is little-endian.
  ['ppc64', 'ppc64le'],
])

/** macOS has no images of its own: engines there run Linux, and containerd falls back to it. */
const NODE_SYSTEMS: ReadonlyMap<string, string> = new Map([
  ['win32', 'windows'],
  ['darwin', 'linux'],
])

/**
 * Parses `os/architecture[/variant]`, any case, and normalises it. The first two are required: the meaning of
 * `arm64` alone would depend on this machine.
 * Throws PLATFORM_INVALID.
 */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant] = SPECIFIER.test(text) ? text.split('/') : []
  if (os === undefined || architecture === undefined) {
    throw new ResolveError(
      'PLATFORM_INVALID',
      `platform ${quote(text)} is not os/architecture[/variant]: write it as in linux/amd64 or linux/arm/v7`,
    )
  }
  const platform = normalizePlatform({ os, architecture, ...(variant && { variant }) })
  if (isUnknown(platform)) {
    throw new ResolveError(
      'PLATFORM_INVALID',
      `platform ${quote(text)} is a placeholder: name a real one, as in linux/amd64`,
    )
  }
  return platform
}

/** `os/architecture[/variant]`, as it is, without normalising. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`
}

/**
 * The one spelling of a platform, as containerd/platforms has it: lower case, aliases resolved,
 * arm without a variant is v7, arm64/v8 and amd64/v1 carry none.
 */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase()
  const name = platform.architecture.toLowerCase()
  const alias = ALIASES.get(name)
  const architecture = alias?.architecture ?? name
  const given = alias?.variant ?? platform.variant?.toLowerCase() ?? ''
  const variant = VARIANTS.get(`${architecture}/${given}`) ?? given
  return { os: os === 'macos' ? 'darwin' : os, architecture, ...(variant && { variant }) }
}

/**
 * The platform of the images that this machine runs, from Node's names for it. `armVersion` is the
 * oldest 32-bit ARM that this Node was built for: it may be lower than the processor's, which
 * runs images of lower variants all the same, never higher.
 */
export function hostPlatform(
  arch: string = process.arch,
  os: string = process.platform,
  armVersion: unknown = Reflect.get(process.config.variables, 'arm_version'),
): Platform {
  const variant = arch === 'arm' && /^[5-8]$/.test(String(armVersion)) ? `v${armVersion}` : ''
  return normalizePlatform({
    os: NODE_SYSTEMS.get(os) ?? os,
    architecture: NODE_ARCHITECTURES.get(arch) ?? arch,
    ...(variant && { variant }),
  })
}

/**
 * The child of an index that a machine of the target platform takes: the best in the order of
 * containerd's `platforms.Only`, the first among equals. Children without a platform come last, as
 * in containerd: only their config has their platform. undefined: none fits.
 */
export function choosePlatform<T extends { readonly platform?: Platform | undefined }>(
  target: Platform,
  children: readonly T[],
): T | undefined {
  const firstByPlatform = new Map<string, T>()
  for (const child of children) {
    if (child.platform !== undefined && isUnknown(child.platform)) continue
    const name =
      child.platform === undefined ? '' : formatPlatform(normalizePlatform(child.platform))
    if (!firstByPlatform.has(name)) firstByPlatform.set(name, child)
  }
  const best = preference(target).find((name) => firstByPlatform.has(name))
  return firstByPlatform.get(best ?? '')
}

/** Every platform with images that run on the target, formatted and normalised, best first. */
function preference(target: Platform): readonly string[] {
  const { os, architecture, variant = '' } = normalizePlatform(target)
  const own = [variant, ...lowerVariants(architecture, variant)].map((lower) =>
    formatPlatform({ os, architecture, variant: lower }),
  )
  if (architecture === 'amd64') return [...own, formatPlatform({ os, architecture: '386' })]
  if (architecture !== 'arm64') return own
  // A 64-bit ARM runs 32-bit images; these know no minor versions.
  const arm = variant === '' || variant.includes('.') ? 'v8' : variant
  return [...own, ...preference({ os, architecture: 'arm', variant: arm })]
}

function isUnknown({ os, architecture }: Platform): boolean {
  return os === 'unknown' || architecture === 'unknown'
}

/**
 * The lower variants of an architecture, with images that run on this one, nearest first, normalised
 * (amd64/v1 and arm64/v8 are ''). Empty for any other architecture or a variant of another form.
 * The order is containerd's (platforms, Only).
 */
export function lowerVariants(architecture: string, variant: string): readonly string[] {
  if (architecture === 'arm64') return lowerArm64Variants(variant)
  // Two digits bound the list, whatever an index claims.
  const version = Number(/^v(\d{1,2})$/.exec(variant)?.[1] ?? 0)
  if (architecture === 'arm') return countDown(version, 5).map((n) => `v${n}`)
  if (architecture === 'amd64') return countDown(version, 1).map((n) => (n === 1 ? '' : `v${n}`))
  return []
}

function lowerArm64Variants(variant: string): readonly string[] {
  const [, major, digit = '0'] = /^v([89])(?:\.(\d))?$/.exec(variant) ?? []
  const minor = Number(digit)
  if (major === undefined) return []
  if (major === '8') return lowerMinors('8', minor)
  // v9.0 grew out of v8.5, so that v9.x runs what v8.(x+5) runs.
  return [...lowerMinors('9', minor), `v8.${minor + 5}`, ...lowerMinors('8', minor + 5)]
}

function lowerMinors(major: '8' | '9', minor: number): readonly string[] {
  const plain = major === '8' ? '' : 'v9'
  return countDown(minor, 0).map((n) => (n === 0 ? plain : `v${major}.${n}`))
}

/** From below `start` to `end`, both whole; empty when start is not above end. */
function countDown(start: number, end: number): readonly number[] {
  return Array.from({ length: Math.max(0, start - end) }, (_, index) => start - 1 - index)
}
