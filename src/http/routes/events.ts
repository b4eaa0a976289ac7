import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import type { RegistryEventResponse } from '../../../api/v1/events.ts'
import { ResolveError } from '../../errors.ts'
import { type Fields, fieldsOf, parseJson } from '../../json.ts'
import { COMPONENT, DOMAIN, PATH_MAX_LENGTH, TAG } from '../../reference/grammar.ts'
import type { ChangedTag } from '../../resolver/changed-tags.ts'
import { RateLimit } from '../access/rate-limit.ts'
import { RequestError } from '../error-response.ts'
import { readJson, withTextBodies } from '../inputs.ts'
import { answer, COMMON_PROBLEMS, problem, TOKEN_NEEDED, withRetryAfter } from '../responses.ts'
import type { RegistryEvent, RouteContext } from '../types.ts'

/** GitHub's of an image with many layers and labels; distribution's and Harbor's are about 1 KiB. */
const MAX_BODY_BYTES = 256 * 1024
/** Of one client, a registry mostly: each may cost one HEAD of a tag that is asked for. */
const MAX_A_MINUTE = 3_000

/**
 * `POST /events/registry`: notifications of registries, in their own formats. Bodies are read as text: GitHub signs
 * them.
 */
export function eventsRoute(
  app: FastifyInstance,
  { isAuthentic, now, onEvent }: RouteContext,
): void {
  if (onEvent === undefined) return
  const limit = new RateLimit(MAX_A_MINUTE, now)
  withTextBodies(app, /^application\/(?:[\w.+-]+\+)?json(?:;|$)/, (scope) => {
    const config = { access: 'event', cache: 'no-store' } as const
    const onRequest: onRequestHookHandler = ({ raw }, _reply, next) => {
      const retryAfterMs = limit.take(raw.socket.remoteAddress)
      if (retryAfterMs === 0) return next()
      const message = `more than ${MAX_A_MINUTE} notifications a minute: send those of pushes and deletions alone`
      throw new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs })
    }
    scope.post<{ Body: string }>(
      '/events/registry',
      { schema, config, onRequest, bodyLimit: MAX_BODY_BYTES },
      async (request): Promise<RegistryEventResponse> => {
        if (!isAuthentic(request, request.body)) {
          const why = 'the signature in x-hub-signature-256 was not made with http.token'
          throw new ResolveError('UNAUTHORIZED', why)
        }
        const event = readRegistryEvent(readJson(request.body), request.headers)
        return { tags: event.changes.length, expired: await onEvent(event) }
      },
    )
  })
}

const schema = {
  operationId: 'registryEvent',
  summary: 'A registry says that tags changed: what is known of them expires.',
  description:
    'Takes the notifications of distribution, Harbor, Quay, GitHub packages and Zot as these send them, CloudEvents in both modes of HTTP included. Nothing but names of tags is read: no digest is taken from a notification, and no address in it is connected to. Served with `http.events` alone. Beside the bearer token, HTTP Basic with the token as password is accepted, and the signature that GitHub makes with the token as secret.',
  security: TOKEN_NEEDED,
  body: { type: 'object', description: 'The notification.', additionalProperties: true },
  response: {
    200: answer('RegistryEventResponse', 'It was read.'),
    ...COMMON_PROBLEMS,
    403: problem('No token is configured, which turns this off.'),
    413: problem('The body is over 256 KiB.'),
    415: problem('The body is no JSON.'),
    429: withRetryAfter(problem('Too many requests, or over 3,000 notifications a minute.')),
    502: withRetryAfter(problem('The store of the fleet could not be told yet: send it again.')),
  },
}

/** Of one notification. distribution puts several events into one, and Quay several tags. */
const MAX_CHANGES = 256
/** Of a text that is read: a host, the longest repository and tag, and what is around them. */
const MAX_TEXT = 512
/** A name of DNS, and a port. */
const MAX_HOST = 253 + ':65535'.length

/**
 * Which tags changed, by a registry's notification. Nothing else of it is believed or used: no digest, and no address to
 * connect to.
 *
 * - distribution, and what is built on it: `{"events": [{"action", "target": {"repository", "tag"}, "request": {"host"}}]}`
 *   (distribution.github.io/distribution/about/notifications, notifications/event.go)
 * - Harbor: `{"type": "PUSH_ARTIFACT", "event_data": {"resources": [{"tag", "resource_url"}], "repository":
 *   {"repo_full_name"}}}`, or the same `event_data` as a CloudEvent of type `harbor.artifact.pushed`
 *   (goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks, pkg/notifier/formats)
 * - Quay: `{"docker_url", "updated_tags": ["latest"]}`; in older versions `updated_tags` maps tags to IDs
 *   (docs.redhat.com, "Repository notifications")
 * - GitHub packages: the events `package` and `registry_package`: `{"action": "published", "registry_package":
 *   {"package_version": {"package_url": "ghcr.io/OWNER/NAME:TAG", "container_metadata": {"tag": {"name"}}}}}`
 *   (docs.github.com/webhooks/webhook-events-and-payloads, payload-examples of octokit/webhooks)
 * - Zot: a CloudEvent of type `zotregistry.image.updated` or `.deleted`, `{"name", "reference"}`; `source` may be the
 *   registry's URL (zotregistry.dev, "Event support for zot", pkg/extensions/events)
 *
 * @param body as JSON.parse gave it
 * @param headers of the request: a CloudEvent may have its attributes there (HTTP binding 1.0.2, 3.1, "binary")
 * @throws RequestError REQUEST_INVALID for what is none of them, or names more than 256 tags
 */
export function readRegistryEvent(
  body: unknown,
  headers: Readonly<Record<string, unknown>>,
): RegistryEvent {
  const event = read(body, headers)
  if (event === undefined) {
    const known = 'distribution, Harbor, Quay, GitHub packages and Zot'
    throw new RequestError('REQUEST_INVALID', `no notification as ${known} send them`)
  }
  if (event.changes.length > MAX_CHANGES) {
    throw new RequestError('REQUEST_INVALID', `more than ${MAX_CHANGES} tags in one notification`)
  }
  return { ...event, changes: event.changes.filter(isWellFormed) }
}

function read(body: unknown, headers: Fields): RegistryEvent | undefined {
  if (Array.isArray(body)) return readCloudEvents(body)
  const fields = fieldsOf(body)
  if (typeof headers['ce-type'] === 'string') {
    const { 'ce-source': source, 'ce-type': type } = headers
    return { format: 'cloudevents', changes: cloudEvent({ source, type, data: body }) }
  }
  if (typeof fields['specversion'] === 'string') return readCloudEvents([body])
  if (Array.isArray(fields['events'])) {
    return { format: 'distribution', changes: fields['events'].flatMap(distribution) }
  }
  if (typeof fields['type'] === 'string' && fields['event_data'] !== undefined) {
    const isChange = /^(?:PUSH|DELETE)_ARTIFACT$/.test(fields['type'])
    return { format: 'harbor', changes: isChange ? harbor(fields['event_data']) : [] }
  }
  if (typeof fields['docker_url'] === 'string') {
    return { format: 'quay', changes: quay(fields['docker_url'], fields['updated_tags']) }
  }
  if (typeof headers['x-github-event'] === 'string') {
    return { format: 'github', changes: github(fields) }
  }
  return undefined
}

function distribution(event: unknown): readonly ChangedTag[] {
  const { action, request, target } = fieldsOf(event)
  const { repository, tag } = fieldsOf(target)
  // A layer and a manifest that is pushed by digest have no tag. One that is deleted takes its tags with it.
  if (typeof repository !== 'string' || (action !== 'delete' && tag === undefined)) return []
  if (action !== 'push' && action !== 'delete') return []
  return [{ host: textOf(fieldsOf(request)['host']), repository, tag: textOf(tag) }]
}

function harbor(data: unknown): readonly ChangedTag[] {
  const { repository, resources } = fieldsOf(data)
  const name = textOf(fieldsOf(repository)['repo_full_name'])
  if (name === undefined || !Array.isArray(resources)) return []
  return resources.flatMap((resource) => {
    const { resource_url: url, tag } = fieldsOf(resource)
    const host = textOf(url)
      ?.replace(/^https?:\/\//, '')
      .split('/', 1)[0]
    const named = textOf(tag)
    // By digest, the name of the tag is the digest again.
    return [{ host, repository: name, tag: named?.includes(':') ? undefined : named }]
  })
}

function quay(url: string, tags: unknown): readonly ChangedTag[] {
  const place = placeOf(textOf(url) ?? '')
  const names = Array.isArray(tags) ? tags : Object.keys(fieldsOf(tags))
  if (place === undefined) return []
  return names.flatMap((tag) => (typeof tag === 'string' ? [{ ...place, tag }] : []))
}

function github({ package: current, registry_package: former }: Fields): readonly ChangedTag[] {
  const version = fieldsOf(fieldsOf(current ?? former)['package_version'])
  const { name } = fieldsOf(fieldsOf(version['container_metadata'])['tag'])
  // `ghcr.io/OWNER/NAME:TAG` as the owner is written; repositories are in lower case. The tag may be empty.
  const url = (textOf(version['package_url']) ?? '').toLowerCase()
  const colon = url.lastIndexOf(':')
  const place = placeOf(colon > url.lastIndexOf('/') ? url.slice(0, colon) : url)
  return place === undefined ? [] : [{ ...place, tag: textOf(name) }]
}

function readCloudEvents(events: readonly unknown[]): RegistryEvent | undefined {
  const isOne = (each: unknown): boolean => typeof fieldsOf(each)['specversion'] === 'string'
  if (events.length === 0 || !events.every(isOne)) return undefined
  return { format: 'cloudevents', changes: events.flatMap((each) => cloudEvent(fieldsOf(each))) }
}

/** By the end of its type, since operators of Zot choose the beginning. */
function cloudEvent(event: Fields): readonly ChangedTag[] {
  const { source, type, data_base64: encoded } = event
  const text = typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString() : ''
  const data = event['data'] ?? parseJson(text)
  const kind = textOf(type) ?? ''
  if (/\.artifact\.(?:pushed|deleted)$/.test(kind)) return harbor(data)
  const { name, reference } = fieldsOf(data)
  if (!/\.image\.(?:updated|deleted)$/.test(kind) || typeof name !== 'string') return []
  const tag = textOf(reference)
  const isDigest = tag?.includes(':') === true
  if (isDigest && kind.endsWith('.updated')) return []
  const from = textOf(source) ?? ''
  const host = /^https?:/.test(from) && URL.canParse(from) ? new URL(from).host : undefined
  return [{ host, repository: name, tag: isDigest ? undefined : tag }]
}

/** `host/repository` */
function placeOf(name: string): Pick<ChangedTag, 'host' | 'repository'> | undefined {
  const slash = name.indexOf('/')
  return slash < 0 ? undefined : { host: name.slice(0, slash), repository: name.slice(slash + 1) }
}

function isWellFormed({ host, repository, tag }: ChangedTag): boolean {
  return (
    (host === undefined || (host.length <= MAX_HOST && DOMAIN.test(host))) &&
    repository.length <= PATH_MAX_LENGTH &&
    repository.split('/').every((part) => COMPONENT.test(part)) &&
    (tag === undefined || TAG.test(tag))
  )
}

/** Cut, so that nothing takes long over it; what is cut in the middle of a name is too long to be one. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_TEXT) : undefined
}
