import { identifier, spelled } from './copy.js'
import { dress, el } from './dom.js'
import { timeline } from './timeline.js'
import { clock, duration, shorten } from './words.js'

/** @param {ResolveResponse} answer */
export function answerView(answer) {
  const { os, architecture, variant } = answer.platform
  const platform = [os, architecture, variant].filter(Boolean).join('/')
  const candidates = answer.candidates ?? []
  return el(
    'article.panel',
    el('h2.asked', el('code', ...spelled(answer.reference))),
    disagreement(answer),
    el(
      answer.source === 'stale' || answer.source === 'node' ? 'p.warn' : 'p.quiet',
      origin(answer),
    ),
    el(
      'dl.identity',
      ...fact('image ID', el('strong', identifier(answer.imageId, 'the image ID'))),
      ...(answer.digest === null ? [] : fact('digest', identifier(answer.digest, 'the digest'))),
      ...manifest(answer),
      ...fact('platform', el('code', platform)),
    ),
    el('h3', 'Pull it from ', el('small', 'best first')),
    el('ol.ranking', ...answer.references.map(ranked)),
    el('h3', 'Why this answer ', el('small', told(answer))),
    candidates.length === 0
      ? el('p.quiet', 'It is not known any more which registries were asked.')
      : timeline(candidates),
  )
}

/** Registries that have different images by one tag: it depends on the order which one runs. */
function disagreement(/** @type {ResolveResponse} */ { candidates = [], reference, registry }) {
  const others = candidates.filter(({ divergent }) => divergent)
  if (others.length === 0) return undefined
  const names = others.map((each) => each.registry).join(', ')
  const text = `${names} ${others.length === 1 ? 'has' : 'have'} another image by this tag than ${registry}.`
  const what =
    'Which one runs depends on the order of asking: push the one that is meant, or name it by digest.'
  return dress(el('p.banner', el('b', text), ` ${what}`), {
    role: 'note',
    'aria-label': `Registries disagree on ${shorten(reference)}`,
  })
}

/** @param {ResolveResponse} answer */
function manifest({ digest, manifestDigest }) {
  if (manifestDigest === null || manifestDigest === digest) return []
  return fact('manifest', identifier(manifestDigest, 'the digest of the manifest'))
}

/** @param {ResolveResponse} answer */
function origin({ ageMs, source, registry, resolvedAt, expiresAt }) {
  if (source === 'node') {
    return 'Every registry was out of reach, or at an address that is never dialled from here; the runtime of this node has the image.'
  }
  if (source === 'stale') {
    return `No registry answers now; ${registry} said this on ${clock(resolvedAt)}.`
  }
  if (source === 'shared') {
    const age = ageMs === undefined ? '' : ` ${duration(ageMs)} before`
    return `From the shared store: another node asked ${registry}${age}; ${until(expiresAt)}.`
  }
  const said = source === 'cache' ? `From the cache; ${registry} said so` : `${registry} said so`
  return `${said} at ${clock(resolvedAt)}, ${until(expiresAt)}.`
}

/** @param {string | null} expiresAt */
function until(expiresAt) {
  return expiresAt === null ? 'a digest never changes' : `good until ${clock(expiresAt)}`
}

/** @param {ResolveResponse} answer */
function told({ source, resolvedAt }) {
  return source === 'cache'
    ? `from when registries were asked, at ${clock(resolvedAt)}`
    : 'what each registry was asked, and when'
}

/**
 * @param {string} name
 * @param {Node} value
 */
function fact(name, value) {
  return [el('dt', name), el('dd', value)]
}

/** @param {RankedReference} each */
function ranked({ reference, kind, priority, verified }) {
  return el(
    'li',
    identifier(reference, reference),
    el(
      'small',
      el(verified ? 'span.accent' : 'span', verified ? 'confirmed there' : 'not asked there'),
      ` · by ${kind} · priority ${priority}`,
    ),
  )
}

/** @import { RankedReference, ResolveResponse } from '../../../api/v1/resolve.ts' */
