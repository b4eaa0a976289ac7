/**
 * Metadata of a gRPC call: names and values in turn, as they are on the wire. Names are in lower case; the
 * value of a name that ends with `-bin` is base64.
 */
export type Metadata = readonly string[]

// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Custom-Metadata
const NAME = /^[0-9a-z_.-]+$/
const VALUE = /^[ -~]*$/

/**
 * The fields of a header list that gRPC allows as metadata.
 *
 * @param ofTheCall names that belong to the call itself
 */
export function metadataOf(fields: readonly string[], ofTheCall: ReadonlySet<string>): Metadata {
  return fields.filter((_, index) => {
    const at = index - (index % 2)
    const name = fields[at] ?? ''
    return NAME.test(name) && VALUE.test(fields[at + 1] ?? '') && !ofTheCall.has(name)
  })
}

/** @returns undefined: there is no such name */
export function binaryValue(metadata: Metadata, name: string): Buffer | undefined {
  const at = metadata.findIndex((field, index) => index % 2 === 0 && field === name)
  return at < 0 ? undefined : Buffer.from(metadata[at + 1] ?? '', 'base64')
}

/** @param value undefined: without that name */
export function withBinaryValue(
  metadata: Metadata,
  name: string,
  value: Uint8Array | undefined,
): Metadata {
  const others = metadata.filter((_, index) => metadata[index - (index % 2)] !== name)
  return value === undefined ? others : [...others, name, Buffer.from(value).toString('base64')]
}
