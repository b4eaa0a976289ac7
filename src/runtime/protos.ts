import { readFileSync } from 'node:fs'
import type { Method } from './call.ts'
import { enumType, type MessageField, MessageType, SCALARS, type ValueType } from './protobuf.ts'

// From src/runtime and from the bundle, dist/app, alike.
const folder = new URL('../../protos/', import.meta.url)
const loaded = new Map<string, ReadonlyMap<string, Service>>()

/** A method as both ends of a call need it. */
export interface ServiceMethod extends Method<object, object> {
  readonly requestStream: boolean
  readonly responseStream: boolean
  readonly requestDeserialize: (bytes: Buffer) => object
  readonly responseSerialize: (response: object) => Buffer
}

type Service = Readonly<Record<string, ServiceMethod>>

/**
 * A service of one of our proto files: its methods with their paths and what reads and writes their messages,
 * as MessageType says. Parsed once per file and process.
 *
 * @param file below protos/: `runtime/v1/image.proto`
 * @param service with its package: `runtime.v1.ImageService`
 * @throws Error when the file cannot be read or has no such service: the installation is broken
 */
export function loadService(file: string, service: string): Service {
  const services = loaded.get(file) ?? servicesOf(readFileSync(new URL(file, folder), 'utf8'))
  loaded.set(file, services)
  const found = services.get(service)
  if (found === undefined) throw new Error(`${file} has no service ${service}`)
  return found
}

/** Metadata of calls about what belongs to Kubernetes. */
export const KUBERNETES_NAMESPACE = ['containerd-namespace', 'k8s.io'] as const

const CONTAINERD_SERVICES = {
  Content: 'content',
  Images: 'images',
  Snapshots: 'snapshots',
} as const

/** A method of containerd's own services, which are on the socket of CRI. */
export function containerdMethod<Response>(
  service: keyof typeof CONTAINERD_SERVICES,
  rpc: string,
): Method<object, Response> {
  const name = CONTAINERD_SERVICES[service]
  const file = `containerd/services/${name}/v1/${name}.proto`
  const methods = loadService(file, `containerd.services.${name}.v1.${service}`)
  return methods[rpc] as unknown as Method<object, Response>
}

/** What our files import. */
const GOOGLE = `
  message google.protobuf.Empty {}
  message google.protobuf.FieldMask { repeated string paths = 1; }
  message google.protobuf.Timestamp { int64 seconds = 1; int32 nanos = 2; }`

const BLOCK = /\b(message|enum|service) ([\w.]+) \{([^}]*)\}/g
const FIELD = /\b(?:(repeated) )?(?:map<string, ([\w.]+)>|([\w.]+)) (\w+) = (\d+);/g
const ENUM_VALUE = /\b(\w+) = (\d+);/g
const RPC = /\brpc (\w+)\((stream )?([\w.]+)\) returns \((stream )?([\w.]+)\);/g

/**
 * The services of a file, by their names with the package. As much of the language is read as protos/ uses: no
 * nested types, options, oneofs or extensions.
 *
 * @throws Error for a type that it does not name
 */
function servicesOf(text: string): ReadonlyMap<string, Service> {
  const code = `${GOOGLE}\n${text.replace(/\/\/.*/g, '')}`
  const [, name = ''] = /^package ([\w.]+);/m.exec(code) ?? []
  const blocks = [...code.matchAll(BLOCK)]
  const types = new Map<string, ValueType>(Object.entries(SCALARS))
  for (const [, kind, type = '', body = ''] of blocks) {
    if (kind === 'message') types.set(type, new MessageType())
    if (kind === 'enum') types.set(type, enumOf(body))
  }
  const named = (type: string): ValueType => {
    const found = types.get(type)
    if (found === undefined) throw new Error(`there is no type ${type} in a proto file`)
    return found
  }
  const services = new Map<string, Service>()
  for (const [, kind, block = '', body = ''] of blocks) {
    const type = types.get(block)
    if (kind === 'service')
      services.set(`${name}.${block}`, serviceOf(`${name}.${block}`, body, named))
    else if (type instanceof MessageType) addFields(type, body, named)
  }
  return services
}

type Named = (type: string) => ValueType

function enumOf(body: string): ValueType {
  const values = [...body.matchAll(ENUM_VALUE)]
  return enumType(new Map(values.map(([, name = '', number]) => [Number(number), name])))
}

function addFields(type: MessageType, body: string, named: Named): void {
  for (const [, repeated, ofMap, ofField = '', name = '', number] of body.matchAll(FIELD)) {
    type.add({
      number: Number(number),
      name: name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      type: ofMap === undefined ? named(ofField) : mapEntry(named(ofMap)),
      count: ofMap === undefined ? (repeated ?? 'one') : 'map',
    } as MessageField)
  }
}

function mapEntry(value: ValueType): MessageType {
  return new MessageType()
    .add({ number: 1, name: 'key', type: SCALARS.string, count: 'one' })
    .add({ number: 2, name: 'value', type: value, count: 'one' })
}

function serviceOf(service: string, body: string, named: Named): Service {
  const methods = [...body.matchAll(RPC)].map(
    ([, rpc = '', asks, request = '', answers, response = '']) => {
      const [asked, answered] = [named(request), named(response)] as [MessageType, MessageType]
      const method: ServiceMethod = {
        path: `/${service}/${rpc}`,
        requestStream: asks !== undefined,
        responseStream: answers !== undefined,
        requestSerialize: (message) => asked.encode(message),
        requestDeserialize: (bytes) => asked.decode(bytes),
        responseSerialize: (message) => answered.encode(message),
        responseDeserialize: (bytes) => answered.decode(bytes),
      }
      return [rpc, method] as const
    },
  )
  return Object.fromEntries(methods)
}
