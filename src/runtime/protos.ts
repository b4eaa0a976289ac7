import { readFileSync } from 'node:fs'
import { parseProto } from './proto-file.ts'

// From src/runtime and from the bundle, dist/app, alike.
const FOLDER = new URL('../../protos/', import.meta.url)

/** One method of a service, as a gRPC client needs it, and a server. */
export interface MethodDefinition {
  /** `/runtime.v1.ImageService/PullImage` */
  readonly path: string
  readonly requestStream: boolean
  readonly responseStream: boolean
  requestSerialize(request: object): Buffer
  requestDeserialize(bytes: Buffer): object
  responseSerialize(response: object): Buffer
  responseDeserialize(bytes: Buffer): object
}

export type ServiceDefinition = Readonly<Record<string, MethodDefinition>>

const loaded = new Map<string, ReadonlyMap<string, ServiceDefinition>>()

/**
 * A service of one of our proto files: its methods with their paths and what reads and writes their messages.
 * Parsed once per file and process.
 *
 * In JavaScript, messages have camelCase fields; 64-bit integers are decimal strings; absent
 * messages are null, other absent fields their defaults; enums are their names.
 *
 * @param file below protos/: `runtime/v1/image.proto`
 * @param service with its package: `runtime.v1.ImageService`
 * @throws Error when the file cannot be read or has no such service: the installation is broken
 */
export function loadService(file: string, service: string): ServiceDefinition {
  const found = load(file).get(service)
  if (found === undefined) throw new Error(`${file} has no service ${service}`)
  return found
}

function load(file: string): ReadonlyMap<string, ServiceDefinition> {
  const known = loaded.get(file)
  if (known !== undefined) return known
  const services = new Map<string, ServiceDefinition>()
  for (const [service, methods] of parseProto(readFileSync(new URL(file, FOLDER), 'utf8'))) {
    const definitions = methods.map(
      ({ name, request, response, requestStream, responseStream }) => {
        const definition: MethodDefinition = {
          path: `/${service}/${name}`,
          requestStream,
          responseStream,
          requestSerialize: (message) => request.encode(message),
          requestDeserialize: (bytes) => request.decode(bytes),
          responseSerialize: (message) => response.encode(message),
          responseDeserialize: (bytes) => response.decode(bytes),
        }
        return [name, definition] as const
      },
    )
    services.set(service, Object.fromEntries(definitions))
  }
  loaded.set(file, services)
  return services
}
