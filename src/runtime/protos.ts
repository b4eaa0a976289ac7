import { fileURLToPath } from 'node:url'
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader'
import { pauseOptimizer } from '../host/optimizer.ts'
import type { Method } from './call.ts'

// From src/runtime and from the bundle, dist/app, alike.
const folder = fileURLToPath(new URL('../../protos', import.meta.url))
const loaded = new Map<string, PackageDefinition>()
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
  const found = load(file)[service]
  if (found === undefined || 'format' in found) throw new Error(`${file} has no service ${service}`)
  return found as ServiceDefinition
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

function load(file: string): PackageDefinition {
  const known = loaded.get(file)
  if (known !== undefined) return known
  // What reads a file runs once: to optimise it takes more time than that saves.
  const resume = pauseOptimizer()
  try {
    return read(file)
  } finally {
    resume()
  }
}

function read(file: string): PackageDefinition {
  const definition = loadSync(file, {
    includeDirs: [folder],
    longs: String,
    enums: String,
    defaults: true,
    arrays: true,
    objects: true,
  })
  loaded.set(file, definition)
  return definition
}
