import type { Attempt, AttemptOutcome } from '../errors.ts'
import { formatPlatform } from '../reference/platform.ts'
import { type Attributes, markFailed, type Span, type SpanStart } from '../telemetry/tracing.ts'
import type { Question } from './question.ts'
import type { Candidate, Resolution } from './types.ts'

/** What a span says of a question, and of its answer: docs/tracing.md lists it. */
export function questionAttributes({ platform, reference }: Question): Attributes {
  const { digest, domain, path, tag } = reference
  return {
    'container.image.name': `${domain}/${path}`,
    ...(tag !== undefined && { 'container.image.tags': [tag] }),
    ...(digest !== undefined && { 'oci.manifest.digest': digest }),
    'image_resolver.platform': formatPlatform(platform),
  }
}

export function answerAttributes({ digest, imageId, registry, source }: Resolution): Attributes {
  return {
    'oci.manifest.digest': digest,
    'container.image.id': imageId,
    'image_resolver.registry': registry,
    'image_resolver.source': source,
  }
}

/**
 * Of a caller that joins a resolution under way: its requests are below the span of the first caller.
 *
 * @param run of that caller
 */
export function markCoalesced(span: Span | undefined, run: Span | undefined): void {
  span?.setAttribute('image_resolver.coalesced', true)
  if (run !== undefined) span?.addLink({ context: run.spanContext() })
}

/** @param parent of the resolution: attempts may begin in what another one calls */
export function attemptSpan(
  { endpoint, registry, repository }: Candidate,
  parent: SpanStart['parent'],
): SpanStart {
  return {
    parent,
    attributes: {
      'server.address': endpoint.host,
      'image_resolver.registry': registry,
      'image_resolver.repository': repository,
    },
  }
}

const NO_FAULT: ReadonlySet<AttemptOutcome> = new Set(['ok', 'canceled', 'skipped'])

export function endAttempt(span: Span, { outcome, message, status, step }: Attempt): void {
  span.setAttributes({
    'image_resolver.outcome': outcome,
    'image_resolver.step': step,
    ...(status !== undefined && { 'http.response.status_code': status }),
  })
  if (!NO_FAULT.has(outcome)) markFailed(span, outcome, message)
  span.end()
}
