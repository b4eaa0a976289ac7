/**
 * Tells clients apart where each has a share. A client with one IPv6 address has the whole /64 to come
 * from (RFC 6177).
 *
 * @param address of the other end; undefined: a unix socket, all clients of which count as one
 */
export function clientKey(address = 'unix'): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  const [head = ''] = address.split('::', 1)
  const groups = head.split(':').slice(0, 4)
  return address.includes('::') || groups.length === 4 ? groups.join(':') : address
}
