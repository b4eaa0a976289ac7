import type { AttemptOutcome, ErrorCode } from '../../src/errors.ts'
import { buildImage, digestOf, type TestImage } from '../support/images.ts'
import type { ScriptedRequest, Step } from '../support/scripted-registry.ts'
import type { Cleanup } from '../support/stack.ts'

/** What every healthy registry has, by every tag and by its digest. */
export const GOOD = buildImage({ seed: 'good' })

/** `user:password`. */
export type Secret = string

/** One way in which a registry fails. */
export interface Fault {
  /** After "a registry that". */
  readonly name: string
  /** How a resolution ends that this registry alone could have answered; absent: it answers. */
  readonly code?: ErrorCode
  /** What it says the tag leads to, where it answers. Default GOOD's digest. */
  readonly digest?: string
  /** How the attempt is told. */
  readonly outcome: AttemptOutcome
  /** Whether it is asked the next time; default `well`. */
  readonly remembered?: 'dead' | 'parked' | 'well'
  /** Requests that one question sends it, its token service and where it redirects to. */
  readonly sent: number
  /** It is, or may be, silent, so that it may cost its budgets. */
  readonly slow?: boolean
  /** Default a tag that nobody was asked for before. `known`: one that is known and asked for anew. */
  readonly asks?: 'tag' | 'known' | 'digest'
  start(t: Cleanup, secret: Secret, number: number): Promise<Sick>
}

/** A registry that fails, as it runs. */
export interface Sick {
  /** As in a configuration. */
  readonly address: string
  /** Further fields of its entry. */
  readonly fields?: object
  /** It, and whoever it sends us to. */
  readonly hearers: readonly Hearer[]
}

/** Somebody who hears requests, and which secrets may be in them. */
export interface Hearer {
  readonly name: string
  readonly requests: readonly ScriptedRequest[]
  readonly allowed: readonly Secret[]
}

export function basic(secret: Secret): string {
  return `Basic ${Buffer.from(secret).toString('base64')}`
}

/** Wants a user first, so that what comes after that could give the secret away. */
export const WHO: Step = {
  on: { authorization: false },
  status: 401,
  headers: { 'www-authenticate': 'Basic realm="registry"' },
  always: true,
}

/** The image by every tag and by its digest, with these headers changed; undefined leaves one out. */
export function serving(
  image: TestImage,
  headers: Readonly<Record<string, string>> = {},
): readonly Step[] {
  return [
    {
      on: { path: new RegExp(`/manifests/(?!sha256:|missing)|/manifests/${image.digest}$`) },
      status: 200,
      headers: {
        'content-type': image.mediaType,
        'content-length': String(image.bytes.length),
        'docker-content-digest': image.digest,
        ...headers,
      },
      body: image.bytes,
      always: true,
    },
    NOT_THERE,
  ]
}

export const NOT_THERE: Step = {
  status: 404,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] }),
  always: true,
}

/** A digest of something that nobody has. */
export const NOBODYS_DIGEST = digestOf('nobody has this')
