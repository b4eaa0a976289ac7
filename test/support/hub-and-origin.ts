import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openResolver } from '../../src/service/open.ts'
import { FakeRegistry } from './fake-registry.ts'
import { type Cleanup, temporaryFolder } from './stack.ts'

/** A registry for images of every domain, the origin of some, and what asks both as a command does. */
export async function startHubAndOrigin(t: Cleanup) {
  const [hub, origin] = await Promise.all([FakeRegistry.start(t), FakeRegistry.start(t)])
  const folder = temporaryFolder(t)
  const file = join(folder, 'config.yaml')
  const registries = [{ address: origin.url, upstreams: [origin.host] }]
  writeFileSync(file, JSON.stringify({ image: folder, address: hub.url, registries }))
  const resolver = await openResolver({ file }, {})
  t.after(() => resolver.close())
  return { hub, origin, folder, resolver }
}
