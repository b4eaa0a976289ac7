import { join } from 'node:path'
import { ARCHITECTURES, NODE, nodeFolder } from '../scripts/release/node-binary.ts'

/** A version of Node that runs the service. */
export interface Runtime {
  readonly major: string
  readonly path: string
}

/** The Node that runs this, and the one that is shipped, where it is in the cache or npm has it. */
export async function nodeVersions(): Promise<{
  readonly runtimes: readonly Runtime[]
  readonly missing: readonly string[]
}> {
  const own = { major: majorOf(process.versions.node), path: process.execPath }
  if (process.versions.node === NODE.version) return { runtimes: [own], missing: [] }
  const architecture = ARCHITECTURES.find((each) => each === process.arch)
  if (architecture === undefined)
    return { runtimes: [own], missing: [notMeasured(`not for ${process.arch}`)] }
  // Without network it is to be said at once.
  process.env['npm_config_fetch_retries'] ??= '0'
  try {
    const path = join(await nodeFolder(architecture), 'bin', 'node')
    return { runtimes: [own, { major: majorOf(NODE.version), path }], missing: [] }
  } catch {
    const reason = 'it is not in the cache, and `npm pack` does not bring it'
    return { runtimes: [own], missing: [notMeasured(reason)] }
  }
}

function notMeasured(reason: string): string {
  return `Node ${NODE.version}, which is shipped: ${reason}`
}

function majorOf(version: string): string {
  return version.split('.', 1)[0] ?? version
}
