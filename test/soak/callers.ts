import { loadService } from '../../src/runtime/protos.ts'
import type { CriVersion } from '../../src/runtime/types.ts'
import { GrpcClient } from '../support/grpc-client.ts'
import { DEADLINE_MS } from './calls.ts'

const TIMEOUT = { 'grpc-timeout': `${DEADLINE_MS}m` }
const NO_STATUS = -1

export interface Ended<Response> {
  readonly code: number
  /** Where the code is 0. */
  readonly response: Response | undefined
  readonly message: string
}

/** One client of our socket, over one connection, which the service has no reason to end. */
export interface Caller {
  readonly name: string
  call<Response>(rpc: string, request: object): Promise<Ended<Response>>
  resolve<Response>(request: object): Promise<Ended<Response>>
  /** Listens to containerd's events for so long. */
  events(ms: number): Promise<number>
  isConnected(): boolean
  close(): Promise<void>
}

/** @param authority what the client sends for one; kubelets before 1.29 send the socket's path */
export function openCaller(socketPath: string, version: CriVersion, authority?: string): Caller {
  const client = new GrpcClient(socketPath)
  const metadata = { ...TIMEOUT, ...(authority === undefined ? {} : { ':authority': authority }) }

  async function unary<Response>(proto: string, service: string, rpc: string, request: object) {
    const method = loadService(proto, service)[rpc]
    if (method === undefined) throw new Error(`there is no ${rpc} in ${service}`)
    const bytes = method.requestSerialize(request)
    const { code, message, messages } = await client.call(method.path, [bytes], metadata)
    const [answer] = messages
    const response = answer === undefined ? undefined : method.responseDeserialize(answer)
    return { code: code ?? NO_STATUS, message, response: response as Response | undefined }
  }

  return {
    name: `${version}${authority === undefined ? '' : ', path as authority'}`,
    call: (rpc, request) => {
      const service = rpc === 'Version' ? 'RuntimeService' : 'ImageService'
      return unary(`runtime/${version}/image.proto`, `runtime.${version}.${service}`, rpc, request)
    },
    resolve: (request) =>
      unary(
        'imageresolver/v1/imageresolver.proto',
        'imageresolver.v1.ImageResolver',
        'ResolveImage',
        request,
      ),
    events: (ms) =>
      new Promise((resolve) => {
        const stream = client.open('/containerd.services.events.v1.Events/Subscribe', metadata)
        stream.end(Buffer.alloc(5))
        stream.resume()
        let status = NO_STATUS
        for (const event of ['response', 'trailers'] as const) {
          stream.on(event, (headers) => {
            status = Number(headers['grpc-status'] ?? status)
          })
        }
        const limit = setTimeout(() => stream.close(8), ms)
        stream.on('close', () => {
          clearTimeout(limit)
          resolve(status === NO_STATUS && stream.rstCode === 8 ? 1 : status)
        })
      }),
    isConnected: () => !client.session.destroyed,
    close: () => client.close(),
  }
}
