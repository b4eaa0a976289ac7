import { type Client, Metadata, type ServiceError, status } from '@grpc/grpc-js'

/**
 * What a failed call throws: the status as the runtime sent it. `code` is the gRPC code, `details`
 * the runtime's own text (`message` has the code in front), `metadata` the trailers,
 * `grpc-status-details-bin` among them. An owned method (cri/owned-call.ts) that throws one ends its call with just these.
 */
export type RuntimeError = ServiceError

export interface CallOptions {
  readonly metadata?: Metadata
  /** Of the wall clock; passed on to the runtime. */
  readonly deadline?: Date
  /** Cancels the call, also in the runtime. */
  readonly signal?: AbortSignal
}

export interface CallResult<Response> {
  readonly response: Response
  readonly metadata: Metadata
  readonly trailers: Metadata
}

/** As much of a method's definition as a client needs. */
export interface Method<Request, Response> {
  readonly path: string
  readonly requestSerialize: (request: Request) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => Response
}

/** A method whose messages are left as they are on the wire. */
export function rawMethod(path: string): Method<Uint8Array, Buffer> {
  return {
    path,
    requestSerialize: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    responseDeserialize: (bytes) => bytes,
  }
}

/**
 * One unary call.
 *
 * @throws RuntimeError as the runtime sent it; the signal's reason when that ended it
 */
export function callUnary<Request, Response>(
  client: Client,
  method: Method<Request, Response>,
  request: Request,
  options: CallOptions = {},
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
        // An answer of trailers alone counts HTTP's own header among them.
        error.metadata?.remove('content-type')
        reject(signal?.aborted && error.code === status.CANCELLED ? signal.reason : error)
      },
    )
    call.on('metadata', (headers) => {
      metadata = headers
    })
    // Comes after the callback, and alone has the trailers.
    call.on('status', (end) => {
      if (response !== undefined) resolve({ response, metadata, trailers: end.metadata })
    })
    signal?.addEventListener('abort', cancel, { once: true })
  })
}

export function isRuntimeError(thrown: unknown): thrown is RuntimeError {
  return (
    thrown instanceof Error &&
    'code' in thrown &&
    typeof thrown.code === 'number' &&
    'details' in thrown &&
    'metadata' in thrown
  )
}

/** A deadline so many milliseconds from now. */
export function deadlineIn(ms: number): Date {
  return new Date(Date.now() + ms)
}
