import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
  type UntypedHandleCall,
} from '@grpc/grpc-js'
import { isConnectionLost, isRuntimeError } from '../../../src/runtime/call.ts'
import { openRuntimeChannel } from '../../../src/runtime/channel.ts'
import { createCriClient } from '../../../src/runtime/cri-client.ts'
import { binaryValue } from '../../../src/runtime/metadata.ts'
import { createNameTable } from '../../../src/runtime/names/name-table.ts'
import { NodeImages } from '../../../src/runtime/node-images.ts'
import { loadService } from '../../../src/runtime/protos.ts'
import type { CriVersion } from '../../../src/runtime/types.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** Only what hangs gets there. */
const LIMIT = { timeout: 60_000 } as const

type Unary = (
  call: { readonly request: unknown; on(event: 'cancelled', listener: () => void): void },
  answer: (error: Partial<ServiceError> | null, response?: object) => void,
) => void

const IMAGE = { id: 'sha256:a', repoTags: ['x:1'], repoDigests: [], size: '9007199254740993' }

test('a runtime that only speaks v1alpha2 is found out once, and spoken to in it', async (t) => {
  const calls: string[] = []
  const runtime = await startRuntime(t, 'v1alpha2', {
    Version: (_, answer) => {
      calls.push('Version')
      answer(null, {})
    },
    ListImages: (_, answer) => answer(null, { images: [IMAGE] }),
  })

  const images = await runtime.cri.listImages()
  await runtime.cri.listImages()

  assert.equal(await runtime.cri.version(), 'v1alpha2')
  assert.deepEqual(images, [{ ...IMAGE, size: 9007199254740993n, pinned: false }])
  assert.deepEqual(calls, ['Version'])
})

test('the version is found out anew when another runtime answers on the socket', async (t) => {
  const handlers = { Version: ((_, answer) => answer(null, {})) satisfies Unary }
  const runtime = await startRuntime(t, 'v1alpha2', handlers)
  const before = await runtime.cri.version()

  await runtime.replace('v1', handlers)
  const after = await eventually(() => runtime.cri.version())

  assert.deepEqual([before, after], ['v1alpha2', 'v1'])
})

test('an image of which another call removes a name meanwhile is removed with all its names', async (t) => {
  let calls = 0
  const gone = { code: status.NOT_FOUND, details: 'failed to update image reference: not found' }
  const runtime = await startRuntime(t, 'v1', {
    Version: (_, answer) => answer(null, {}),
    RemoveImage: (_, answer) => {
      calls += 1
      answer(calls < 3 ? gone : null, {})
    },
  })

  await runtime.cri.removeImage('x:1')

  assert.equal(calls, 3)
})

test('a runtime that goes on to find an image and then not to find it has the last word', async (t) => {
  const gone = { code: status.NOT_FOUND, details: 'failed to update image reference: not found' }
  const runtime = await startRuntime(t, 'v1', {
    Version: (_, answer) => answer(null, {}),
    RemoveImage: (_, answer) => answer(gone),
  })

  await assert.rejects(runtime.cri.removeImage('x:1'), gone)
})

test('another failure than UNIMPLEMENTED is no reason to try v1alpha2', async (t) => {
  const starting: Unary = (_, answer) => answer({ code: status.UNAVAILABLE, details: 'starting' })
  const runtime = await startRuntime(t, 'v1', { Version: starting, ListImages: starting })

  const version = await runtime.cri.version()
  const listing = runtime.cri.listImages()

  assert.equal(version, 'v1')
  await assert.rejects(listing, { code: status.UNAVAILABLE, details: 'starting' })
  assert.equal(await runtime.cri.ready(), false)
})

test('what a runtime answers instead of its version is known', async (t) => {
  const starting: Unary = (_, answer) => answer({ code: status.UNAVAILABLE, details: 'starting' })
  const runtime = await startRuntime(t, 'v1', { Version: starting })

  const failure = await runtime.cri.failure()

  assert.deepEqual([failure?.code, failure?.details], [status.UNAVAILABLE, 'starting'])
})

test('a pull of a v1 caller reaches a runtime of v1alpha2, and the other way round', async (t) => {
  for (const [caller, served] of [
    ['v1', 'v1alpha2'],
    ['v1alpha2', 'v1'],
  ] as const) {
    const runtime = await startRuntime(t, served, {
      Version: (_, answer) => answer(null, {}),
      PullImage: (_, answer) => answer(null, { imageRef: 'sha256:a' }),
    })

    const response = await runtime.cri.pullImage(new Uint8Array(), { version: caller })

    assert.deepEqual(response, Buffer.from('\n\u0008sha256:a'))
  }
})

test('the status of a failed pull arrives whole, details and trailers included', async (t) => {
  const details = Buffer.from([8, 2, 18, 1, 255])
  const runtime = await startRuntime(t, 'v1', {
    PullImage: (_, answer) => {
      const metadata = new Metadata()
      metadata.set('grpc-status-details-bin', details)
      metadata.set('x-trailer', 'kept')
      answer({ code: status.UNKNOWN, details: 'RegistryUnavailable: größer', metadata })
    },
  })

  const pull = runtime.cri.pullImage(new Uint8Array(), { version: 'v1' })

  await assert.rejects(pull, (error) => {
    assert.ok(isRuntimeError(error))
    assert.equal(error.code, status.UNKNOWN)
    assert.equal(error.details, 'RegistryUnavailable: größer')
    assert.deepEqual(binaryValue(error.metadata, 'grpc-status-details-bin'), details)
    assert.equal(error.metadata[error.metadata.indexOf('x-trailer') + 1], 'kept')
    assert.ok(!error.metadata.includes('content-type'))
    return true
  })
})

test('a pull hands over bytes as they are, the answer with its trailers', async (t) => {
  const requests: unknown[] = []
  const runtime = await startRuntime(t, 'v1', {
    PullImage: (call, answer) => {
      requests.push(call.request)
      answer(null, { imageRef: 'sha256:a' })
    },
  })

  const request = Buffer.from('0a030a0178', 'hex')
  const response = await runtime.cri.pullImage(request, { version: 'v1' })

  assert.equal((requests[0] as { image: { image: string } }).image.image, 'x')
  assert.deepEqual(response, Buffer.from('\n\u0008sha256:a'))
})

test('a caller who leaves cancels the pull in the runtime', async (t) => {
  const leaving = new AbortController()
  const reason = new Error('left')
  let cancelled = () => {}
  const seen = new Promise<void>((resolve) => {
    cancelled = resolve
  })
  const runtime = await startRuntime(t, 'v1', {
    PullImage: (call) => {
      call.on('cancelled', cancelled)
      leaving.abort(reason)
    },
  })

  const pull = runtime.cri.pullImage(new Uint8Array(), { version: 'v1', signal: leaving.signal })

  await assert.rejects(pull, (error) => error === reason)
  await seen
  await assert.rejects(
    runtime.cri.pullImage(new Uint8Array(), { version: 'v1', signal: leaving.signal }),
    (error) => error === reason,
  )
})

test('an answer of nearly 16 MiB is taken', async (t) => {
  const images = Array.from({ length: 15 }, () => ({ ...IMAGE, id: 'i'.repeat(1024 * 1024) }))
  const runtime = await startRuntime(t, 'v1', {
    Version: (_, answer) => answer(null, {}),
    ListImages: (_, answer) => answer(null, { images }),
  })

  assert.equal((await runtime.cri.listImages()).length, 15)
})

test(
  'a runtime that takes the connection and says nothing is not ready, and is not waited for',
  LIMIT,
  async (t) => {
    const runtime = await startRuntime(t, 'v1', { Version: () => {} })

    const ready = await runtime.cri.ready()

    assert.equal(ready, false)
  },
)

test('a socket that is not there is unavailable, and nothing hangs', LIMIT, async (t) => {
  const channel = openRuntimeChannel(join(temporaryFolder(t), 'none.sock'))
  t.after(() => channel.close())

  const listing = createCriClient(channel).listImages()

  await assert.rejects(
    listing,
    (error) => isRuntimeError(error) && error.code === status.UNAVAILABLE,
  )
})

test(
  'a pull ends when the runtime answers nothing any more, and the error names its socket',
  LIMIT,
  async (t) => {
    const runtime = await startRuntime(t, 'v1', { Version: () => {}, PullImage: () => {} })
    const looks = { everyMs: 1, limitMs: 20, silent: 2 }
    const cri = createCriClient(runtime.channel, 'v1', looks)

    const pulling = cri.pullImage(Buffer.alloc(0), { version: 'v1' })

    await assert.rejects(pulling, (thrown) => {
      assert.ok(isRuntimeError(thrown) && isConnectionLost(thrown))
      assert.equal(thrown.code, status.UNAVAILABLE)
      assert.ok(thrown.details.includes(runtime.channel.path), thrown.details)
      return true
    })
  },
)

test(
  'a pull takes as long as it takes while the runtime answers now and then',
  LIMIT,
  async (t) => {
    let looked = 0
    const runtime = await startRuntime(t, 'v1', {
      PullImage: (_, answer) => {
        const whenLooked = setInterval(() => {
          if (looked < 6) return
          clearInterval(whenLooked)
          answer(null, { imageRef: 'sha256:a' })
        }, 10)
      },
      Version: (_, answer) => {
        looked += 1
        if (looked === 3) answer(null, {})
      },
    })
    const looks = { everyMs: 1, limitMs: 1_000, silent: 3 }
    const cri = createCriClient(runtime.channel, 'v1', looks)

    const response = await cri.pullImage(Buffer.alloc(0), { version: 'v1' })

    assert.ok(response.includes('sha256:a'))
  },
)

for (const [config, image] of [
  ['{"sandboxImage":"registry.k8s.io/pause:3.6","other":1}', 'registry.k8s.io/pause:3.6'],
  ['{"other":1}', undefined],
  ['no JSON', undefined],
] as const) {
  test(`the sandbox image of a runtime whose configuration is ${config} is ${image}`, async (t) => {
    const runtime = await startRuntime(t, 'v1', {
      Version: (_, answer) => answer(null, {}),
      Status: (call, answer) => {
        const { verbose } = call.request as { verbose: boolean }
        answer(null, { info: verbose ? { config } : {} })
      },
    })

    assert.equal(await runtime.cri.sandboxImage(), image)
  })
}

test('a runtime without a table of names says so', async (t) => {
  const runtime = await startRuntime(t, 'v1', {})

  assert.equal(await createNameTable(runtime.channel).available(), false)
})

const [WEB, JOB, OLD, PAUSE] = ['web', 'job', 'old', 'pause'].map((name) => ({
  id: `sha256:${name}`,
  repoTags: [`docker.io/library/${name}:1`, `docker.io/library/${name}:latest`],
  repoDigests: [`docker.io/library/${name}@sha256:${name}`],
  size: '1',
  pinned: name === 'pause',
}))

test('the images in use are those of pods that live, by the names that pods have, and what is pinned', async (t) => {
  const spec = (image: string, userSpecifiedImage = '') => ({ image, userSpecifiedImage })
  const runtime = await startRuntime(t, 'v1', {
    Version: (_, answer) => answer(null, {}),
    ListImages: (_, answer) => answer(null, { images: [WEB, JOB, OLD, PAUSE] }),
    ListPodSandbox: (_, answer) =>
      answer(null, {
        items: [
          { id: 'lives', state: 'SANDBOX_READY' },
          { id: 'ended', state: 'SANDBOX_NOTREADY' },
        ],
      }),
    ListContainers: (_, answer) =>
      answer(null, {
        containers: [
          { podSandboxId: 'lives', image: spec('sha256:web', 'web:1'), imageId: 'sha256:web' },
          { podSandboxId: 'lives', image: spec('x'), imageRef: 'docker.io/library/job@sha256:job' },
          { podSandboxId: 'lives', image: spec('gone', 'gone:1'), imageRef: 'sha256:gone' },
          { podSandboxId: 'ended', image: spec('sha256:old', 'old:1'), imageRef: 'sha256:old' },
        ],
      }),
  })
  const node = nodeOf(t, runtime.socketPath)

  const names = (await node.named(false)).map((image) => image.names)
  const all = await node.named(true)

  assert.deepEqual(names, [PAUSE?.repoTags, ['web:1'], JOB?.repoTags])
  assert.deepEqual(
    all.map((image) => image.names),
    [WEB, JOB, OLD, PAUSE].map((image) => image?.repoTags),
  )
  assert.deepEqual(all[0]?.repoDigests, WEB?.repoDigests)
})

test('of a runtime that lists no containers every image is taken for used', async (t) => {
  const runtime = await startRuntime(t, 'v1alpha2', {
    Version: (_, answer) => answer(null, {}),
    ListImages: (_, answer) => answer(null, { images: [WEB, { ...OLD, repoTags: [] }] }),
  })

  const names = (await nodeOf(t, runtime.socketPath).named(false)).map((image) => image.names)

  assert.deepEqual(names, [WEB?.repoTags, OLD?.repoDigests])
})

function nodeOf(t: TestContext, shim: string): NodeImages {
  const node = new NodeImages({ shim, version: undefined, whyClosed: async () => undefined })
  t.after(() => node.close())
  return node
}

/** A runtime of scripted methods; what has no script is UNIMPLEMENTED. */
async function startRuntime(
  t: TestContext,
  version: CriVersion,
  handlers: Readonly<Record<string, Unary>>,
) {
  const folder = temporaryFolder(t)
  const socketPath = join(folder, 'r.sock')
  let server = await serve(socketPath, version, handlers)
  t.after(() => server.forceShutdown())
  const channel = openRuntimeChannel(socketPath)
  t.after(() => channel.close())
  return {
    socketPath,
    channel,
    cri: createCriClient(channel),
    replace: async (other: CriVersion, scripts: Readonly<Record<string, Unary>>) => {
      server.forceShutdown()
      await rm(socketPath, { force: true })
      server = await serve(socketPath, other, scripts)
    },
  }
}

async function serve(
  socketPath: string,
  version: CriVersion,
  handlers: Readonly<Record<string, Unary>>,
): Promise<Server> {
  const server = new Server()
  for (const service of ['RuntimeService', 'ImageService']) {
    const definition = loadService(
      `runtime/${version}/image.proto`,
      `runtime.${version}.${service}`,
    )
    server.addService(definition, handlers as unknown as Record<string, UntypedHandleCall>)
  }
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    )
  })
  return server
}

/** The first answer to a question that may fail while a connection comes back. */
async function eventually<T>(question: () => Promise<T>): Promise<T> {
  const endAt = performance.now() + LIMIT.timeout
  for (;;) {
    try {
      return await question()
    } catch (error) {
      if (performance.now() > endAt) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
