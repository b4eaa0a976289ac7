import type { FastifyInstance } from 'fastify'
import { ResolveError } from '../errors.ts'

/**
 * Opens the door on a descriptor that listens already, as a socket unit hands it down. Where that is,
 * who may connect and when it goes is the unit's affair.
 *
 * @throws ResolveError UNAVAILABLE when it is no socket to listen on
 */
export async function listenOnDescriptor(app: FastifyInstance, fd: number): Promise<string> {
  await app.ready()
  const { server } = app
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: Error): void => {
      const problem = `the descriptor ${fd} that was handed down is no socket to listen on`
      reject(new ResolveError('UNAVAILABLE', problem, { cause }))
    }
    server.once('error', refuse)
    server.listen({ fd }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
  const address = server.address()
  if (address === null || typeof address === 'string') return `descriptor ${fd}`
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}
