import { fileURLToPath } from 'node:url'
import {
  credentials,
  type handleUnaryCall,
  type Metadata,
  makeClientConstructor,
  Server,
  ServerCredentials,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { loadService } from '../../src/runtime/protos.ts'

// `decoding-shim.ts SOCKET RUNTIME`: what sealos' image-cri-shim does with a call, as far as that costs time where
// the registry is not asked: each message is decoded and encoded again on both sides, and a status is asked for
// twice (its pkg/server/cri_server_v1.go). It is that shape alone, in Node and without its work on names; Go's own
// program is faster than this by what Go is.

export const DECODING_SHIM = fileURLToPath(import.meta.url)

/** As kubelet's own. */
const LIMITS = { 'grpc.max_receive_message_length': 16 * 1024 * 1024 }
const TWICE = ['ImageStatus', 'RemoveImage']

if (process.argv[1] === DECODING_SHIM) {
  const [, , socket, runtime] = process.argv
  const service = loadService('runtime/v1/image.proto', 'runtime.v1.ImageService')
  const Runtime = makeClientConstructor(service, 'runtime.v1.ImageService')
  const client = new Runtime(
    `unix://${runtime}`,
    credentials.createInsecure(),
    LIMITS,
  ) as unknown as {
    readonly [rpc: string]: (
      request: unknown,
      metadata: Metadata,
      done: sendUnaryData<unknown>,
    ) => void
  }
  const served: UntypedServiceImplementation = {}
  for (const [rpc, { responseStream }] of Object.entries(service)) {
    if (responseStream) continue
    const handle: handleUnaryCall<unknown, unknown> = ({ metadata, request }, done) => {
      const ask = (answered: typeof done) => client[rpc]?.(request, metadata, answered)
      ask(TWICE.includes(rpc) ? (error) => (error ? done(error) : ask(done)) : done)
    }
    served[rpc] = handle
  }
  const server = new Server()
  server.addService(service, served)
  server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), (error) => {
    if (error) throw error
    process.stdout.write('"ready"\n')
  })
}
