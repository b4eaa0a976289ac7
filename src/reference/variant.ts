/**
 * The lower variants of an architecture whose images run on this one, nearest first, normalised
 * (amd64/v1 and arm64/v8 are ''). Empty for any other architecture or a variant of another form.
 * The order is containerd's (platforms, Only).
 */
export function lowerVariants(architecture: string, variant: string): readonly string[] {
  if (architecture === 'arm64') return lowerArm64Variants(variant)
  // Two digits are plenty, and bound the list whatever an index claims.
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
