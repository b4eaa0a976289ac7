import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import { type Method, rawMethod } from '../../src/runtime/call.ts'
import { loadService } from '../../src/runtime/protos.ts'
import type { CriVersion } from '../../src/runtime/types.ts'
import type { Cleanup } from './stack.ts'

export interface TestImageStatus {
  readonly id: string
  readonly repoTags: readonly string[]
  readonly repoDigests: readonly string[]
  readonly size: string
  readonly pinned: boolean
}

export interface TestAuth {
  readonly username?: string
  readonly password?: string
  readonly auth?: string
  readonly serverAddress?: string
}

export interface TestCallOptions {
  readonly deadlineMs?: number
  readonly metadata?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A client as the kubelet is one: knows nothing of image-resolver. Errors are grpc-js's own. */
export interface TestCriClient {
  /** Any method of runtime/<version>/image.proto, as an object of camelCase fields. */
  call<Response>(rpc: string, request: object, options?: TestCallOptions): Promise<Response>
  /** Any method at all, messages as bytes: `/runtime.v1.RuntimeService/Status`. */
  raw(path: string, request: Uint8Array, options?: TestCallOptions): Promise<CallResult<Buffer>>
  version(): Promise<{ readonly runtimeName: string; readonly runtimeApiVersion: string }>
  /** image_ref of the answer. */
  pullImage(image: string, auth?: TestAuth, options?: TestCallOptions): Promise<string>
  imageStatus(image: string): Promise<TestImageStatus | undefined>
  listImages(): Promise<readonly TestImageStatus[]>
  removeImage(image: string): Promise<void>
  readonly client: Client
}

export function criClient(
  t: Cleanup,
  socketPath: string,
  version: CriVersion = 'v1',
): TestCriClient {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 100,
    'grpc.use_local_subchannel_pool': 1,
  })
  t.after(() => client.close())

  async function call<Response>(rpc: string, request: object, options: TestCallOptions = {}) {
    const service = rpc === 'Version' ? 'RuntimeService' : 'ImageService'
    const definition = loadService(
      `runtime/${version}/image.proto`,
      `runtime.${version}.${service}`,
    )
    const method = definition[rpc] as unknown as Method<object, Response>
    return (await callUnary(client, method, request, toCallOptions(options))).response
  }

  return {
    client,
    call,
    raw: (path, request, options = {}) =>
      callUnary(client, rawMethod(path), request, toCallOptions(options)),
    version: () => call('Version', { version: '0.1.0' }),
    pullImage: async (image, auth, options) => {
      const request = { image: { image }, ...(auth === undefined ? {} : { auth }) }
      return (await call<{ imageRef: string }>('PullImage', request, options)).imageRef
    },
    imageStatus: async (image) => {
      type Answer = { image: TestImageStatus | null }
      return (await call<Answer>('ImageStatus', { image: { image } })).image ?? undefined
    },
    listImages: async () => (await call<{ images: TestImageStatus[] }>('ListImages', {})).images,
    removeImage: async (image) => {
      await call('RemoveImage', { image: { image } })
    },
  }
}

interface UnaryOptions {
  readonly metadata?: Metadata
  readonly deadline?: Date
  readonly signal?: AbortSignal
}

export interface CallResult<Response> {
  readonly response: Response
  readonly metadata: Metadata
  readonly trailers: Metadata
}

/**
 * One unary call.
 *
 * @throws ServiceError; the signal's reason when that ended the call
 */
export function callUnary<Request, Response>(
  client: Client,
  method: Method<Request, Response>,
  request: Request,
  options: UnaryOptions = {},
): Promise<CallResult<Response>> {
  const { signal, deadline } = options
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const cancel = () => call.cancel()
    let metadata = new Metadata()
    let response: Response | undefined
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      options.metadata ?? new Metadata(),
      deadline === undefined ? {} : { deadline },
      (error, value) => {
        signal?.removeEventListener('abort', cancel)
        response = value
        if (error === null) return
        // The trailers of a headers-only answer contain it.
        error.metadata?.remove('content-type')
        reject(signal?.aborted && error.code === status.CANCELLED ? signal.reason : error)
      },
    )
    call.on('metadata', (headers) => {
      metadata = headers
    })
    // Emitted after the callback, and the only event with the trailers.
    call.on('status', (end) => {
      if (response !== undefined) resolve({ response, metadata, trailers: end.metadata })
    })
    signal?.addEventListener('abort', cancel, { once: true })
  })
}

function toCallOptions({ deadlineMs, metadata, signal }: TestCallOptions) {
  const headers = new Metadata()
  for (const [name, value] of Object.entries(metadata ?? {})) headers.set(name, value)
  return {
    metadata: headers,
    deadline: new Date(Date.now() + (deadlineMs ?? 60_000)),
    ...(signal === undefined ? {} : { signal }),
  }
}
