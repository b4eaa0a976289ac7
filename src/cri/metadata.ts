import { Metadata } from '@grpc/grpc-js'
import type { HeaderList } from '../http2/headers.ts'

/** Binary values of one call that are passed on. Each takes a hundred times the byte that it may have come in. */
const MAX_BINARY_VALUES = 128
/** Of this hop alone; the user agent is this process's own. */
const NOT_PASSED_ON = new Set([
  'accept-encoding',
  'content-length',
  'content-type',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-timeout',
  'host',
  'te',
  'user-agent',
])

/** Names and values as gRPC lets them be; what is not of that form goes no further. */
export function metadataOf({ fields }: HeaderList): Metadata {
  const metadata = new Metadata()
  let left = MAX_BINARY_VALUES
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    if (name.startsWith(':') || NOT_PASSED_ON.has(name)) continue
    try {
      if (!name.endsWith('-bin')) {
        metadata.add(name, value)
        continue
      }
      const parts = value.split(',', left)
      left -= parts.length
      for (const part of parts) metadata.add(name, Buffer.from(part, 'base64'))
    } catch {
      // Metadata has its own rules for names and values, and says no other way what breaks them.
    }
  }
  return metadata
}

export function fieldsOf(metadata: Metadata): readonly string[] {
  return Object.entries(metadata.toHttp2Headers()).flatMap(([name, values]) =>
    [values ?? []].flat().flatMap((value) => [name, String(value)]),
  )
}
