import type { AddressInfo } from 'node:net'

/**
 * What can connect to where a server listens: users that the mode of a unix socket lets, everything on this
 * machine (and the web pages in their browsers), other machines.
 */
export type Exposure = 'socket' | 'loopback' | 'network'

/**
 * The bound address is looked at, not the configured one: a socket may be handed down.
 *
 * @param address as a server tells it: null before it listens and when it closes
 * @returns undefined where the address says nothing
 */
export function exposureOf(address: AddressInfo | string | null): Exposure | undefined {
  if (address === null) return undefined
  if (typeof address === 'string') return 'socket'
  return /^(?:::ffff:)?127\.|^::1$/.test(address.address) ? 'loopback' : 'network'
}
