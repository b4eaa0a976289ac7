import { type Duplex, duplexPair } from 'node:stream'
import { type Server, ServerCredentials } from '@grpc/grpc-js'

/**
 * A way into a grpc-js server without a socket: each call of the answered function is one connection.
 * The server need not be bound; close its connections before it shuts down.
 */
export function connectInProcess(server: Server): () => Duplex {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  return () => {
    const [near, far] = duplexPair()
    // Neither learns of the other's end by itself.
    far.on('close', () => near.destroy())
    near.on('close', () => far.destroy())
    injector.injectConnection(far)
    return near
  }
}
