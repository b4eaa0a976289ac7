import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { type Clock, systemClock } from '../../../src/concurrency/clock.ts'
import {
  pulledImage,
  requestedAuth,
  requestedImage,
  withAuth,
  withImage,
} from '../../../src/cri/image-messages.ts'
import { type ImageResolver, ImageService } from '../../../src/cri/image-service.ts'
import type { Caller } from '../../../src/cri/owned-call.ts'
import { withString } from '../../../src/cri/wire.ts'
import { type Attempt, ResolveError } from '../../../src/errors.ts'
import { rankReferences } from '../../../src/resolver/candidates.ts'
import type { Candidate, Resolution } from '../../../src/resolver/types.ts'
import type { RuntimeError } from '../../../src/runtime/call.ts'
import type { ContentStore } from '../../../src/runtime/content.ts'
import type { ImageNames, WholeImage } from '../../../src/runtime/types.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { candidate, digestOf, entry, identity } from '../../support/resolver.ts'

const own = { kind: 'basic', username: 'm1', password: 'own' } as const
const M1 = candidate('m1:5000', { priority: 1000, credentials: own })
const M2 = candidate('m2:5000')
const ORIGIN = candidate('docker.io', {
  origin: true,
  configured: false,
  pullName: 'docker.io/library/nginx',
})
const D = identity('a').digest

function runtimeError(details: string, code = status.UNKNOWN): RuntimeError {
  const error = Object.assign(new Error(details), { code, details, metadata: [] })
  return error
}

function unresolved(...outcomes: readonly Attempt['outcome'][]): ResolveError {
  const attempts = outcomes.map((outcome, index) => ({
    registry: `m${index + 1}:5000`,
    step: 'manifest' as const,
    outcome,
    ms: 1,
  }))
  return new ResolveError('UNAVAILABLE', 'nobody has it', { attempts })
}

interface Leased {
  readonly mirrorName: string
  readonly wanted: readonly string[]
}

/** The service between a scripted resolver and a scripted runtime. */
class Scene {
  candidates: readonly Candidate[] = [M1, M2, ORIGIN]
  attempts: readonly Attempt[] = []
  source: Resolution['source'] = 'registry'
  resolveError: ResolveError | undefined
  namesOffered = true
  onResolveError: 'passthrough' | 'reject' = 'passthrough'
  byDigest = true
  skipUnchanged = true
  /** The runtime's own ID, where it does not answer a pull with that. */
  imageId: string | undefined
  /** What the runtime answers a pull with; absent: something made of what it was asked for. */
  imageRef: string | undefined
  present: string | undefined
  statusError: RuntimeError | undefined
  /** Names by which the node knows the image. */
  onNode: readonly string[] = []
  /** What the runtime says to a pull, by image; others succeed. */
  readonly pullErrors = new Map<string, RuntimeError>()
  readonly pulled: { readonly image: string; readonly request: Buffer }[] = []
  readonly leased: Leased[] = []
  /** What the runtime has as a whole, whatever the name, and by which names it was asked. */
  whole: WholeImage | undefined
  readonly looked: string[] = []
  readonly named: Leased[] = []
  readonly removed: string[] = []
  readonly resolved: unknown[] = []
  readonly controller = new AbortController()
  nowMs = 0
  rawAnswer: Buffer | undefined
  /** Ends with a pull that never ends by itself, when that is cancelled. */
  hanging: (image: string, signal: AbortSignal | undefined) => Promise<void> = async () => {}
  duringPull: (image: string) => void = () => {}
  /** Refs of the runtime's downloads that were discarded; false: another writer holds them. */
  readonly discarded: string[] = []
  mayDiscard = true
  readonly content: ContentStore = {
    info: async () => undefined,
    read: async () => undefined,
    ingests: async () => [],
    hasSnapshot: async () => false,
    discard: async (ref) => {
      this.discarded.push(ref)
      return this.mayDiscard
    },
  }
  clock: Clock = systemClock
  duringResolve: (signal: AbortSignal | undefined) => Promise<void> = async () => {}

  readonly #names: ImageNames = {
    available: async () => this.namesOffered,
    settle: () => undefined,
    withLease: async (mirrorName, pull, wanted) => {
      const id = await pull()
      this.leased.push({ mirrorName, wanted })
      return this.imageId ?? id
    },
    name: async (existing, wanted) => {
      this.named.push({ mirrorName: existing, wanted })
      return true
    },
    whole: async (name) => {
      this.looked.push(name)
      return this.whole
    },
  }
  readonly #resolver: ImageResolver = {
    candidates: () => this.candidates,
    credentials: async (asked) => asked.credentials,
    resolve: async (reference, options) => {
      this.resolved.push(options)
      await this.duringResolve(options.signal)
      if (this.resolveError !== undefined) throw this.resolveError
      const { attempts } = this
      return {
        ...identity('a'),
        reference: 'docker.io/library/nginx:latest',
        references: rankReferences(reference, D, this.candidates, ({ registry }) =>
          registry === M1.registry ? 'verified' : 'assumed',
        ),
        registry: M1.registry,
        source: this.source,
        resolvedAt: 1,
        expiresAt: 2,
        attempts,
      }
    },
  }

  readonly caller: Caller = {
    metadata: [],
    deadline: undefined,
    signal: this.controller.signal,
  }

  get service(): ImageService {
    return new ImageService({
      resolver: this.#resolver,
      names: this.#names,
      runtime: {
        imageStatus: async () => {
          if (this.statusError !== undefined) throw this.statusError
          if (this.present === undefined) return undefined
          return {
            id: this.present,
            repoTags: this.onNode.filter((name) => !name.includes('@')),
            repoDigests: this.onNode.filter((name) => name.includes('@')),
            size: 1n,
            pinned: false,
          }
        },
        pullImage: async (request, { signal }) => {
          const image = requestedImage(request)
          this.pulled.push({ image, request: Buffer.from(request) })
          this.duringPull(image)
          await this.hanging(image, signal)
          const error = this.pullErrors.get(image)
          if (error !== undefined) throw error
          return (
            this.rawAnswer ??
            Buffer.from(withString(new Uint8Array(), 1, this.imageRef ?? `id of ${image}`))
          )
        },
        removeImage: async (image) => {
          this.removed.push(image)
        },
      },
      onResolveError: () => this.onResolveError,
      byDigest: () => this.byDigest,
      skipUnchanged: () => this.skipUnchanged,
      log: silentLogger(),
      timeoutMs: 900_000,
      clock: this.clock,
      content: this.content,
      now: () => this.nowMs,
    })
  }

  pull(request: Uint8Array = requestFor('nginx')): Promise<Buffer> {
    return this.service.pull(Buffer.from(request), this.caller, 'v1')
  }

  get images(): string[] {
    return this.pulled.map(({ image }) => image)
  }
}

function failureOf(pull: Promise<unknown>): Promise<RuntimeError> {
  return pull.then(
    () => assert.fail('the pull succeeded'),
    (thrown: unknown) => thrown as RuntimeError,
  )
}

function requestFor(image: string): Uint8Array {
  return withImage(new Uint8Array(), image)
}

test('the exact digest is pulled from the best registry and named by what was asked', async () => {
  const scene = new Scene()

  const response = await scene.pull()

  assert.deepEqual(scene.images, [`m1:5000/library/nginx@${D}`])
  assert.deepEqual(scene.leased, [
    {
      mirrorName: `m1:5000/library/nginx@${D}`,
      wanted: ['docker.io/library/nginx:latest', `docker.io/library/nginx@${D}`],
    },
  ])
  assert.match(response.toString(), /id of m1:5000/)
  const [{ signal: _, ...options }] = scene.resolved as [{ signal: AbortSignal }]
  assert.deepEqual(options, { refresh: true, shared: true, urgent: true })
})

const TAGGED = 'docker.io/library/nginx:latest'
const WHOLE = {
  id: 'there',
  names: [TAGGED, `docker.io/library/nginx@${D}`],
  target: D,
}

test('an image that is there as a whole, and that the registry still names, is not pulled', async () => {
  const scene = new Scene()
  scene.whole = WHOLE

  const response = await scene.pull()

  assert.equal(pulledImage(response), 'there')
  assert.deepEqual([scene.looked, scene.images, scene.leased], [[TAGGED], [], []])
})

test('where a runtime’s names stand for IDs, having them all is enough', async () => {
  const scene = new Scene()
  scene.whole = { ...WHOLE, target: undefined }

  assert.equal(pulledImage(await scene.pull()), 'there')
})

for (const [what, change] of [
  ['the name stands for another digest', (s) => (s.whole = { ...WHOLE, target: 'sha256:old' })],
  ['a name is missing', (s) => (s.whole = { ...WHOLE, names: [TAGGED] })],
  ['the pull would go elsewhere', (s) => (s.candidates = [M2, ORIGIN])],
  [
    'the registry that answered has failed since',
    (s) => (s.attempts = [{ registry: 'm1:5000', step: 'token', outcome: 'timeout', ms: 1 }]),
  ],
  ['the configuration says so', (s) => (s.skipUnchanged = false)],
  ['no registry answers', (s) => (s.source = 'stale')],
  ['the registry refuses', (s) => (s.resolveError = new ResolveError('UNAUTHORIZED', 'no'))],
] as readonly (readonly [string, (scene: Scene) => unknown])[]) {
  test(`what is there is pulled all the same when ${what}`, async () => {
    const scene = new Scene()
    scene.whole = WHOLE
    change(scene)

    await scene.pull()

    assert.equal(scene.images.length, 1)
  })
}

test('what is there is pulled when the origin was asked by other credentials than the caller’s', async () => {
  const auth = { username: 'pod', password: 'pod' }
  const origin = { ...ORIGIN, registry: M1.registry, configured: true }
  const pulls = async (given: object, shown: Candidate): Promise<number> => {
    const scene = new Scene()
    scene.whole = WHOLE
    scene.candidates = [shown]
    await scene.pull(withAuth(requestFor('nginx'), given))
    return scene.images.length
  }
  const token = { kind: 'registryToken', token: 't' } as const

  assert.equal(await pulls(auth, { ...origin, credentials: own }), 0)
  assert.equal(await pulls(auth, origin), 1)
  assert.equal(await pulls({ registryToken: 't' }, { ...origin, credentials: token }), 1)
  assert.equal(await pulls({ ...auth, serverAddress: 'x' }, { ...origin, credentials: own }), 1)
})

test('when a registry took its time, what is there is looked at again', async () => {
  const scene = new Scene()
  scene.whole = WHOLE
  scene.duringResolve = async () => {
    await new Promise(setImmediate)
    scene.nowMs += 1_000
    scene.whole = undefined
  }

  await scene.pull()

  assert.deepEqual([scene.looked.length, scene.images.length], [2, 1])
})

test('where a pull failed, the next one of that image goes last', async () => {
  const scene = new Scene()
  const { service } = scene
  scene.pullErrors.set(`${M1.pullName}@${D}`, runtimeError('no layer'))

  await service.pull(Buffer.from(requestFor('nginx')), scene.caller, 'v1')
  await service.pull(Buffer.from(requestFor('nginx')), scene.caller, 'v1')

  const [m1, m2] = [`${M1.pullName}@${D}`, `${M2.pullName}@${D}`]
  assert.deepEqual(scene.images, [m1, m2, m2])
})

for (const text of [
  'Connection dropped: /run/x.sock',
  'No connection established to /run/x.sock. Last error: connect ECONNREFUSED',
  'No answer from /run/x.sock for 60 s, to other calls neither',
  'read ECONNRESET',
]) {
  test(`no registry is blamed for a runtime that leaves during a pull (${text})`, async () => {
    const scene = new Scene()
    const { service } = scene
    const m1 = `${M1.pullName}@${D}`
    scene.pullErrors.set(m1, runtimeError(text, status.UNAVAILABLE))

    const failure = await failureOf(
      service.pull(Buffer.from(requestFor('nginx')), scene.caller, 'v1'),
    )
    assert.deepEqual([scene.images, String(failure.code)], [[m1], 'UNAVAILABLE'])
    assert.match(failure.message, /nginx:latest: the connection to the runtime broke off/)
    assert.ok(failure.message.includes(text))
    assert.doesNotMatch(failure.message, /m1/)

    scene.pullErrors.clear()
    await service.pull(Buffer.from(requestFor('nginx')), scene.caller, 'v1')
    assert.deepEqual(scene.images, [m1, m1])
  })
}

for (const isStopping of [true, false]) {
  const what = isStopping ? 'stops' : 'gives up a pull without progress'
  test(`a runtime that ${what} cancels the pull`, async () => {
    const scene = new Scene()
    const { service } = scene
    const [m1, m2] = [`${M1.pullName}@${D}`, `${M2.pullName}@${D}`]
    const text = `failed to pull and unpack image "${m1}": context canceled`
    scene.pullErrors.set(m1, runtimeError(text, status.CANCELLED))
    if (isStopping) scene.statusError = runtimeError('Connection dropped', status.UNAVAILABLE)
    const request = Buffer.from(requestFor('nginx'))

    const failure = await service.pull(request, scene.caller, 'v1').catch((error) => error)

    assert.deepEqual(scene.images, isStopping ? [m1] : [m1, m2])
    assert.equal(failure.code, isStopping ? 'UNAVAILABLE' : undefined)
    scene.statusError = undefined
    scene.pullErrors.clear()
    await service.pull(request, scene.caller, 'v1')
    assert.equal(scene.images.at(-1), isStopping ? m1 : m2)
  })
}

test('what the runtime itself calls unavailable is held against the registry', async () => {
  const scene = new Scene()
  const [m1, m2] = [`${M1.pullName}@${D}`, `${M2.pullName}@${D}`]
  scene.pullErrors.set(m1, runtimeError('registry: 503 Service Unavailable', status.UNAVAILABLE))

  await scene.pull()

  assert.deepEqual(scene.images, [m1, m2])
})

for (const [seconds, next] of [
  [29, M1],
  [30, M2],
] as const) {
  test(`a caller that gave up after ${seconds} s is sent to ${next.registry} when it comes again`, async () => {
    const scene = new Scene()
    const { service } = scene
    const stop = new AbortController()
    const impatient = { ...scene.caller, signal: stop.signal }
    scene.duringPull = () => {
      scene.nowMs += seconds * 1000
      stop.abort(new Error('gone'))
      throw runtimeError('canceled')
    }
    await assert.rejects(service.pull(Buffer.from(requestFor('nginx')), impatient, 'v1'))

    scene.duringPull = () => {}
    await service.pull(Buffer.from(requestFor('nginx')), scene.caller, 'v1')

    assert.equal(scene.images.at(-1), `${next.pullName}@${D}`)
  })
}

test('an answer that cannot be read comes back untouched', async () => {
  const scene = new Scene()
  scene.candidates = [ORIGIN]
  scene.rawAnswer = Buffer.from('pulled')

  assert.equal((await scene.pull()).toString(), 'pulled')
})

test('a reference with a digest gets no tag, as in containerd', async () => {
  const scene = new Scene()

  await scene.pull(requestFor(`nginx:1.27@${D}`))

  assert.deepEqual(scene.leased[0]?.wanted, [`docker.io/library/nginx@${D}`])
})

test("the pod's credentials go to the origin alone, a mirror gets its own or none", async () => {
  const scene = new Scene()
  for (const { pullName } of [M1, M2]) {
    scene.pullErrors.set(`${pullName}@${D}`, runtimeError('no'))
  }

  await scene.pull(withAuth(requestFor('nginx'), { username: 'pod', password: 'secret' }))

  assert.deepEqual(
    scene.pulled.map(({ request }) => requestedAuth(request)?.username),
    ['m1', undefined, 'pod'],
  )
  assert.deepEqual(
    scene.pulled.map(({ request }) => requestedAuth(request)?.serverAddress),
    ['https://m1:5000', undefined, ''],
  )
})

test('candidates are tried in their order, last the request as it came, and its error comes first', async () => {
  const scene = new Scene()
  const last = runtimeError('RegistryUnavailable: the last word')
  for (const { pullName } of [M1, M2, ORIGIN]) {
    scene.pullErrors.set(`${pullName}@${D}`, runtimeError('no'))
  }
  scene.pullErrors.set('nginx', last)
  const request = requestFor('nginx')

  const failure = await failureOf(scene.pull(request))

  assert.equal(failure.code, last.code)
  assert.equal(
    failure.details,
    'RegistryUnavailable: the last word; image-resolver: m1:5000: the pull failed: no; ' +
      'm2:5000: the pull failed: no; ' +
      'see: image-resolver resolve --explain docker.io/library/nginx:latest',
  )
  assert.deepEqual(scene.images, [
    `m1:5000/library/nginx@${D}`,
    `m2:5000/library/nginx@${D}`,
    `docker.io/library/nginx@${D}`,
    'nginx',
  ])
  assert.deepEqual(scene.pulled.at(-1)?.request, Buffer.from(request))
})

test('a registry that failed while resolving is not pulled from', async () => {
  const scene = new Scene()
  scene.attempts = [{ registry: M2.registry, step: 'connect', outcome: 'unreachable', ms: 1 }]
  scene.pullErrors.set(`m1:5000/library/nginx@${D}`, runtimeError('no'))

  await scene.pull()

  assert.deepEqual(scene.images, [`m1:5000/library/nginx@${D}`, `docker.io/library/nginx@${D}`])
})

test('when nothing is configured for it, the request goes on as it came and nobody is asked', async () => {
  const scene = new Scene()
  scene.candidates = [ORIGIN]

  await scene.pull()

  assert.deepEqual(scene.images, ['nginx'])
  assert.deepEqual(scene.resolved, [])
})

test('where the runtime lets no names be given, the request goes on as it came', async () => {
  const scene = new Scene()
  scene.namesOffered = false

  await scene.pull()

  assert.deepEqual(scene.images, ['nginx'])
})

test('what is no reference is left to the runtime', async () => {
  const scene = new Scene()

  for (const image of ['', 'UPPER case', digestOf('id'), 'ab'.repeat(32)]) {
    await scene.pull(requestFor(image))
  }

  assert.deepEqual(scene.images, ['', 'UPPER case', digestOf('id'), 'ab'.repeat(32)])
  assert.deepEqual(scene.resolved, [])
})

test('when resolving fails the request goes on as it came, or is refused if so configured', async () => {
  const scene = new Scene()
  scene.resolveError = new ResolveError('UNAVAILABLE', 'all down')

  await scene.pull()
  scene.onResolveError = 'reject'
  await assert.rejects(scene.pull(), scene.resolveError)

  assert.deepEqual(scene.images, ['nginx'])
})

test("when nobody answers, what is on the node under a mirror's name is named and used", async () => {
  const scene = new Scene()
  scene.resolveError = unresolved('unreachable', 'timeout', 'server_error')
  scene.present = 'on-node'
  scene.onNode = ['m2:5000/library/nginx:latest', `m2:5000/library/nginx@${D}`]

  const response = await scene.pull()

  assert.equal(pulledImage(response), 'on-node')
  assert.deepEqual(scene.images, [])
  assert.deepEqual(scene.named, [
    {
      mirrorName: 'm2:5000/library/nginx:latest',
      wanted: ['docker.io/library/nginx:latest', `docker.io/library/nginx@${D}`],
    },
  ])
})

for (const [said, isUsed] of [
  [
    'failed to do request: Head "https://registry-1.docker.io/v2/": dial tcp 10.0.0.1:443: i/o timeout',
    true,
  ],
  [
    'unexpected status from HEAD request to https://registry-1.docker.io/v2/x: 503 Service Unavailable',
    true,
  ],
  [
    'pulling from host registry-1.docker.io failed with status code [manifests 1]: 401 Unauthorized',
    false,
  ],
  ['docker.io/library/nginx:latest: not found', false],
  [
    'failed to do request: Head "https://mirror.of.the.runtime/v2/": dial tcp 10.0.0.1:443: i/o timeout',
    false,
  ],
] as const) {
  test(`an origin that is never dialled from here is asked by the runtime, which says: ${said}`, async () => {
    const scene = new Scene()
    const { attempts } = unresolved('unreachable', 'denied')
    scene.resolveError = new ResolveError('DENIED', 'not dialled', {
      attempts: attempts.map((each) => ({ ...each, step: 'connect' as const })),
    })
    scene.present = 'on-node'
    scene.onNode = ['m2:5000/library/nginx:latest', `m2:5000/library/nginx@${D}`]
    scene.pullErrors.set('nginx', runtimeError(said))

    const ref = await scene.pull().then(pulledImage, () => undefined)

    assert.equal(ref, isUsed ? 'on-node' : undefined)
    assert.deepEqual(scene.images, ['nginx'])
    assert.equal(scene.named.length, isUsed ? 1 : 0)
  })
}

test('when nobody answers, a pinned image is found on the node by its digest alone', async () => {
  const scene = new Scene()
  scene.resolveError = unresolved('unreachable', 'timeout', 'server_error')
  scene.present = 'on-node'
  scene.onNode = [`m1:5000/library/nginx@${D}`]

  await scene.pull(requestFor(`nginx@${D}`))

  assert.deepEqual(scene.named, [
    { mirrorName: `m1:5000/library/nginx@${D}`, wanted: [`docker.io/library/nginx@${D}`] },
  ])
})

for (const refusal of ['not_found', 'unauthorized', 'denied', 'unsupported', 'invalid'] as const) {
  test(`what is on the node is not used where a registry said ${refusal}, whatever the others`, async () => {
    for (const outcomes of [[refusal], ['unreachable', refusal, 'timeout']] as const) {
      const scene = new Scene()
      scene.resolveError = unresolved(...outcomes)
      scene.present = 'on-node'
      scene.onNode = ['m2:5000/library/nginx:latest', `m2:5000/library/nginx@${D}`]

      await scene.pull()

      assert.deepEqual(scene.named, [])
      assert.deepEqual(scene.images, ['nginx'])
    }
  })
}

test('what is on the node is used while registries rest, ask for quiet, or are silent', async () => {
  for (const outcome of ['skipped', 'rate_limited', 'canceled'] as const) {
    const scene = new Scene()
    scene.resolveError = unresolved(outcome, 'unreachable')
    scene.present = 'on-node'
    scene.onNode = ['m2:5000/library/nginx:latest', `m2:5000/library/nginx@${D}`]

    assert.equal(pulledImage(await scene.pull()), 'on-node')
  }
})

test('an image that could not be pulled by its old answer is not adopted after a refusal either', async () => {
  const scene = new Scene()
  scene.source = 'stale'
  scene.attempts = unresolved('rate_limited', 'unauthorized').attempts
  scene.present = 'on-node'
  scene.onNode = ['m2:5000/library/nginx:latest', `m2:5000/library/nginx@${D}`]

  await scene.pull()

  assert.deepEqual(scene.named, [])
})

test('what the node finds by the beginning of an ID is not taken for the image', async () => {
  const scene = new Scene()
  scene.resolveError = unresolved('unreachable', 'timeout', 'server_error')
  scene.present = 'on-node'
  scene.onNode = ['docker.io/library/nginx:latest']

  await scene.pull()

  assert.deepEqual(scene.named, [])
  assert.deepEqual(scene.images, ['nginx'])
})

test('an answer from before all registries went down is not pulled by', async () => {
  const scene = new Scene()
  scene.source = 'stale'

  await scene.pull()

  assert.deepEqual(scene.images, ['nginx'])
})

test('a caller that leaves while resolving starts no pull', async () => {
  const scene = new Scene()
  scene.resolveError = new ResolveError('CANCELED', 'gone')
  scene.controller.abort()

  await assert.rejects(scene.pull(), { code: 'CANCELED' })

  assert.deepEqual(scene.images, [])
})

test('a caller that leaves while pulling starts no further pull', async () => {
  const scene = new Scene()
  scene.pullErrors.set(`m1:5000/library/nginx@${D}`, runtimeError('canceled', status.CANCELLED))
  const pull = scene.pull()
  scene.controller.abort()

  await assert.rejects(pull)

  assert.deepEqual(scene.images, [`m1:5000/library/nginx@${D}`])
})

test('an image is removed by whatever name the caller has for it', async () => {
  const scene = new Scene()

  const response = await scene.service.remove(Buffer.from(requestFor('nginx')), scene.caller)

  assert.deepEqual(scene.removed, ['nginx'])
  assert.equal(response.length, 0)
})

test('nothing is removed for an empty reference', async () => {
  const scene = new Scene()
  scene.present = 'the only image'

  for (const request of [requestFor(''), requestFor(' '), new Uint8Array()]) {
    await assert.rejects(scene.service.remove(Buffer.from(request), scene.caller), {
      code: 'NAME_INVALID',
    })
  }

  assert.deepEqual(scene.removed, [])
})

test('the tag of the reference decides its names, whatever its spelling', async () => {
  const scene = new Scene()

  await scene.pull(requestFor('index.docker.io/library/nginx:1.27'))

  assert.equal(scene.leased[0]?.wanted[0], 'docker.io/library/nginx:1.27')
})

test('a runtime that answers a pull with a name is corrected to its own ID', async () => {
  const scene = new Scene()
  scene.imageId = 'opaque-id'

  assert.equal(pulledImage(await scene.pull()), 'opaque-id')
})

test('the answer to a pull that went on as it came has the ID of the runtime, too', async () => {
  const scene = new Scene()
  scene.candidates = [ORIGIN]
  scene.imageRef = `nginx@${D}`
  scene.present = 'opaque-id'

  assert.equal(pulledImage(await scene.pull()), 'opaque-id')
})

test('an ID in the answer to a pull that went on as it came is left and not asked about', async () => {
  const scene = new Scene()
  scene.candidates = [ORIGIN]
  scene.present = 'another'

  for (const id of [digestOf('id'), 'ab'.repeat(32)]) {
    scene.imageRef = id
    assert.equal(pulledImage(await scene.pull()), id)
  }
})

test('a name in the answer stays where the runtime cannot say what it is called', async () => {
  const scene = new Scene()
  scene.candidates = [ORIGIN]
  scene.imageRef = `nginx@${D}`
  const gone = await scene.pull()
  scene.statusError = runtimeError('too busy')
  const failed = await scene.pull()

  assert.deepEqual([gone, failed].map(pulledImage), [`nginx@${D}`, `nginx@${D}`])
})

test("where tags are pulled, the mirror's tag and its digest are both leased", async () => {
  const scene = new Scene()
  scene.byDigest = false

  await scene.pull(requestFor('nginx:1.27'))
  await scene.pull(requestFor(`nginx:1.27@${D}`))

  assert.deepEqual(scene.images, ['m1:5000/library/nginx:1.27', `m1:5000/library/nginx@${D}`])
  assert.deepEqual(
    scene.leased.map(({ mirrorName }) => mirrorName),
    ['m1:5000/library/nginx:1.27', `m1:5000/library/nginx@${D}`, `m1:5000/library/nginx@${D}`],
  )
})

test('a mirror that is not trusted is pulled from by digest even where tags are pulled', async () => {
  const scene = new Scene()
  scene.byDigest = false
  scene.candidates = [{ ...M1, entry: entry('m1', { trusted: false }) }]

  await scene.pull(requestFor('nginx:1.27'))

  assert.deepEqual(scene.images, [`m1:5000/library/nginx@${D}`])
})

test('where `mirrorsOnly` rules out the origin, a pull that fails everywhere is not passed on', async () => {
  const scene = new Scene()
  scene.candidates = [M1, M2]
  for (const { pullName } of [M1, M2]) {
    scene.pullErrors.set(`${pullName}@${D}`, runtimeError(`${pullName} is broken`))
  }

  await assert.rejects(scene.pull(), {
    details: /^m2:5000\/library\/nginx is broken; image-resolver: m1:5000: the pull failed: /,
  })

  assert.deepEqual(scene.images, [`m1:5000/library/nginx@${D}`, `m2:5000/library/nginx@${D}`])
})

test('where `mirrorsOnly` rules out the origin, neither a failed answer nor a lack of names leads there', async () => {
  const failed = new Scene()
  failed.candidates = [M1]
  failed.resolveError = new ResolveError('MANIFEST_UNKNOWN', 'nowhere')
  const stale = new Scene()
  stale.candidates = [M1]
  stale.source = 'stale'
  const nameless = new Scene()
  nameless.candidates = [M1]
  nameless.namesOffered = false
  const nobody = new Scene()
  nobody.candidates = []
  nobody.resolveError = new ResolveError('DENIED', 'nobody may be asked')

  await assert.rejects(failed.pull(), { code: 'MANIFEST_UNKNOWN' })
  await assert.rejects(stale.pull(), { code: 'UNAVAILABLE' })
  await assert.rejects(nameless.pull(), { code: 'UNAVAILABLE' })
  await assert.rejects(nobody.pull(), { code: 'DENIED' })

  assert.deepEqual(
    [failed, stale, nameless, nobody].flatMap(({ images }) => images),
    [],
  )
})

test('what a mirror that is not trusted left on the node is not given to everybody', async () => {
  const scene = new Scene()
  scene.candidates = [{ ...M1, entry: entry('m1:5000', { trusted: false }) }, ORIGIN]
  scene.resolveError = unresolved('unreachable', 'timeout', 'server_error')
  scene.present = 'on-node'
  scene.onNode = ['m1:5000/library/nginx:latest']

  await scene.pull()

  assert.deepEqual(scene.named, [])
  assert.deepEqual(scene.images, ['nginx'])
})

test('what is shown at a registry is asked of the resolver, for that candidate', async () => {
  const scene = new Scene()

  await scene.pull()

  assert.deepEqual(requestedAuth(scene.pulled[0]?.request ?? Buffer.alloc(0))?.password, 'own')
})

const SPOILED = `layer-${digestOf('layer')}`
const spoiled = runtimeError(
  `failed to copy: failed commit on ref "${SPOILED}": unexpected commit digest sha256:1, expected sha256:2: failed precondition`,
  status.FAILED_PRECONDITION,
)

test('a download that was spoiled once is discarded, and the same pull made again', async () => {
  for (const [place, image] of [
    [[M1, ORIGIN], `${M1.pullName}@${D}`],
    [[ORIGIN], 'nginx'],
  ] as const) {
    const scene = new Scene()
    scene.candidates = place
    scene.pullErrors.set(image, spoiled)
    scene.duringPull = () => {
      if (scene.discarded.length > 0) scene.pullErrors.clear()
    }

    await scene.pull()

    assert.deepEqual(scene.discarded, [SPOILED])
    assert.deepEqual(scene.images, [image, image])
  }
})

test('a registry that sends wrong bytes again is left, and the next begins without them', async () => {
  const scene = new Scene()
  scene.pullErrors.set(`${M1.pullName}@${D}`, spoiled)

  await scene.pull()

  const m1 = `${M1.pullName}@${D}`
  assert.deepEqual(scene.images, [m1, m1, `${M2.pullName}@${D}`])
  assert.deepEqual(scene.discarded, [SPOILED, SPOILED])
})

test('a download that is in use is left alone, and so is what failed for another reason', async () => {
  const scene = new Scene()
  scene.candidates = [ORIGIN]
  scene.mayDiscard = false
  scene.pullErrors.set('nginx', spoiled)
  await assert.rejects(scene.pull(), spoiled)
  for (const details of [
    `failed commit on ref "${SPOILED}": no space left on device`,
    'unexpected commit digest, on no ref',
    'failed commit on ref "../../x": unexpected commit digest',
  ]) {
    scene.pullErrors.set('nginx', runtimeError(details))
    await assert.rejects(scene.pull(), { details })
  }

  assert.deepEqual(scene.discarded, [SPOILED])
  assert.deepEqual(scene.images, ['nginx', 'nginx', 'nginx', 'nginx'])
})

test('a pull without progress is ended at that place, and goes on at the next', async () => {
  const scene = new Scene()
  const clock = new FakeClock()
  scene.clock = clock
  scene.hanging = async (image, signal) => {
    if (!image.startsWith(M1.pullName)) return
    await new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason))
    })
  }

  const pull = scene.pull()
  await clock.advance(899_000)
  const before = [...scene.images]
  await clock.advance(30_000)
  await pull

  assert.deepEqual(before, [`${M1.pullName}@${D}`])
  assert.deepEqual(scene.images, [`${M1.pullName}@${D}`, `${M2.pullName}@${D}`])
  assert.equal(clock.pendingTimers, 0)
})

test('resolving has the time of the setting, then the request goes on as it came', async () => {
  const scene = new Scene()
  const clock = new FakeClock()
  scene.clock = clock
  scene.duringResolve = (signal) =>
    new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason))
    })

  const pull = scene.pull()
  await clock.advance(900_000)
  await pull

  assert.deepEqual(scene.images, ['nginx'])
})

test('what is no image to us is asked of the registry that has it, by digest, before the origin', async () => {
  const found = { digest: D, mediaType: 'application/vnd.oci.image.manifest.v1+json', size: 7 }
  for (const onResolveError of ['passthrough', 'reject'] as const) {
    const scene = new Scene()
    scene.onResolveError = onResolveError
    scene.resolveError = new ResolveError('NOT_AN_IMAGE', 'an artifact', {
      attempts: unresolved('not_found', 'unsupported').attempts,
      found: { ...found, registry: M2.registry },
    })

    await scene.pull()

    assert.deepEqual(scene.images, [`${M2.pullName}@${D}`])
    assert.deepEqual(scene.leased[0]?.wanted, [
      'docker.io/library/nginx:latest',
      `docker.io/library/nginx@${D}`,
    ])
  }
})

test('what the runtime makes another manifest of is not named by the digest that it had', async () => {
  const oci = 'application/vnd.oci.image.manifest.v1+json'
  for (const kind of [
    { mediaType: oci, artifactType: 'application/octet-stream' },
    { mediaType: 'application/vnd.docker.distribution.manifest.v1+json' },
  ]) {
    const scene = new Scene()
    scene.resolveError = new ResolveError('NOT_AN_IMAGE', 'an artifact', {
      found: { digest: D, size: 7, registry: M2.registry, ...kind },
    })

    await scene.pull()

    assert.deepEqual(scene.leased[0]?.wanted, ['docker.io/library/nginx:latest'])
  }
})

test('what the runtime cannot pull there either goes on as it came, and the error says what was there', async () => {
  const scene = new Scene()
  scene.resolveError = new ResolveError('NOT_AN_IMAGE', 'an artifact', {
    attempts: [
      {
        registry: M1.registry,
        step: 'manifest',
        outcome: 'unsupported',
        ms: 1,
        message: 'a chart',
      },
    ],
    found: {
      digest: D,
      mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
      size: 7,
      registry: M1.registry,
    },
  })
  scene.pullErrors.set(`${M1.pullName}@${D}`, runtimeError('no unpacker'))
  scene.pullErrors.set('nginx', runtimeError('no such host'))

  const { details } = await failureOf(scene.pull())

  assert.deepEqual(scene.images, [`${M1.pullName}@${D}`, 'nginx'])
  assert.match(details, /^no such host; image-resolver: m1:5000: a chart; .*no unpacker; see: /)
})

test('a registry that may not be pulled from is not asked for what is no image to us', async () => {
  const scene = new Scene()
  scene.candidates = [candidate('m1:5000', { entry: entry('m1', { capabilities: ['resolve'] }) })]
  scene.resolveError = new ResolveError('NOT_AN_IMAGE', 'an artifact', {
    found: { digest: D, mediaType: 'x', size: 7, registry: 'm1:5000' },
  })

  await assert.rejects(scene.pull(), { code: 'NOT_AN_IMAGE' })

  assert.deepEqual(scene.images, [])
})
