import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Settings of skopeo below a HOME of its own: any signature will do, and `hub` stands for Docker Hub. */
export function writeSkopeoSettings(home: string, hub: string): void {
  const folder = join(home, '.config', 'containers')
  mkdirSync(folder, { recursive: true })
  const anything = { default: [{ type: 'insecureAcceptAnything' }] }
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(anything))
  const lines = ['[[registry]]', 'prefix="docker.io"', `location="${hub}"`, 'insecure=true', '']
  writeFileSync(join(folder, 'registries.conf'), lines.join('\n'))
}
