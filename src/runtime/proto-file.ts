import {
  embedded,
  enumType,
  type Field,
  type FieldType,
  isLengthDelimited,
  Message,
  type MessageType,
  scalars,
  stringMap,
} from './protobuf.ts'

export interface RpcMethod {
  readonly name: string
  readonly request: MessageType
  readonly response: MessageType
  readonly requestStream: boolean
  readonly responseStream: boolean
}

/** Files that ours import, as far as they are needed. */
const WELL_KNOWN = `package google.protobuf;
  message Empty {}
  message FieldMask { repeated string paths = 1; }
  message Timestamp { int64 seconds = 1; int32 nanos = 2; }`

/**
 * @param text of a proto file of proto 3 without oneof, optional, nested types and repeated numbers
 * @returns its services by full name
 * @throws Error for what is not understood
 */
export function parseProto(text: string): ReadonlyMap<string, readonly RpcMethod[]> {
  const types = new Map<string, Message | FieldType>()
  readFile(WELL_KNOWN, types)
  return readFile(text, types)
}

function readFile(
  text: string,
  types: Map<string, Message | FieldType>,
): ReadonlyMap<string, readonly RpcMethod[]> {
  const bare = text.replace(/\/\/.*$/gm, '').replace(/\/\*[\s\S]*?\*\//g, '')
  const [, scope = ''] = /\bpackage\s+([\w.]+)\s*;/.exec(bare) ?? []
  const blocks = [...bare.matchAll(/\b(message|enum|service)\s+(\w+)\s*\{([^{}]*)\}/g)]
  const named = (name: string): Message | FieldType => {
    const found = scalars[name] ?? types.get(`${scope}.${name}`) ?? types.get(name)
    if (found === undefined) throw new Error(`proto file: ${name} is not a known type`)
    return found
  }
  const message = (name: string): Message => {
    const found = named(name)
    if (found instanceof Message) return found
    throw new Error(`proto file: ${name} is not a message`)
  }
  for (const [, kind, name, body = ''] of blocks) {
    if (kind === 'message') types.set(`${scope}.${name}`, new Message())
    if (kind === 'enum') types.set(`${scope}.${name}`, enumType(readValues(body)))
  }
  const services = new Map<string, readonly RpcMethod[]>()
  for (const [, kind, name = '', body = ''] of blocks) {
    if (kind === 'message') message(name).define(readFields(body, named))
    if (kind === 'service') services.set(`${scope}.${name}`, readMethods(body, message))
  }
  return services
}

function readFields(body: string, named: (name: string) => Message | FieldType): readonly Field[] {
  return statements(body).map((statement) => {
    const [, label, typeName = '', name = '', number] =
      /^(repeated\s+)?(map\s*<\s*string\s*,\s*string\s*>|[\w.]+)\s+(\w+)\s*=\s*(\d+)$/.exec(
        statement,
      ) ?? []
    if (number === undefined) throw new Error(`proto file: not understood: ${statement}`)
    const found = typeName.startsWith('map') ? stringMap : named(typeName)
    const type = found instanceof Message ? embedded(found) : found
    const isRepeated = label !== undefined
    if (isRepeated && !isLengthDelimited(type)) {
      throw new Error(`proto file: numbers that are repeated are not understood: ${statement}`)
    }
    return { name: camelCase(name), number: Number(number), isRepeated, type }
  })
}

function readMethods(body: string, message: (name: string) => Message): readonly RpcMethod[] {
  return statements(body).map((statement) => {
    const [, name, requestStream, request, responseStream, response] =
      /^rpc\s+(\w+)\s*\(\s*(stream\s+)?([\w.]+)\s*\)\s*returns\s*\(\s*(stream\s+)?([\w.]+)\s*\)$/.exec(
        statement,
      ) ?? []
    if (name === undefined || request === undefined || response === undefined) {
      throw new Error(`proto file: not understood: ${statement}`)
    }
    return {
      name,
      request: message(request),
      response: message(response),
      requestStream: requestStream !== undefined,
      responseStream: responseStream !== undefined,
    }
  })
}

function readValues(body: string): readonly (readonly [name: string, value: number])[] {
  return statements(body).map((statement) => {
    const [, name, value] = /^(\w+)\s*=\s*(\d+)$/.exec(statement) ?? []
    if (name === undefined) throw new Error(`proto file: not understood: ${statement}`)
    return [name, Number(value)]
  })
}

function statements(body: string): readonly string[] {
  return body
    .split(';')
    .map((each) => each.trim())
    .filter((each) => each !== '' && !each.startsWith('reserved '))
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase())
}
