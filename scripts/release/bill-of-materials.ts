import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { NODE } from './node-binary.ts'

interface Bundled {
  readonly name: string
  readonly version: string
  readonly license: string
}

/**
 * A bill of materials: https://cyclonedx.org/docs/1.6/json/
 *
 * @param base packages of Debian 12 that go with it
 */
export function billOfMaterials(
  root: string,
  version: string,
  epoch: number,
  base: readonly Bundled[] = [],
): string {
  const bundled: readonly Bundled[] = JSON.parse(
    readFileSync(join(root, 'dist/bundled.json'), 'utf8'),
  )
  const component = (name: string, release: string, license: string, purl: string) => ({
    type: 'library',
    'bom-ref': purl,
    name,
    version: release,
    licenses: [/[ (]/.test(license) ? { expression: license } : { license: { id: license } }],
    purl,
  })
  const components = [
    component('node', NODE.version, 'MIT', `pkg:generic/node@${NODE.version}`),
    ...bundled.map(({ name, version: release, license }) =>
      component(name, release, license, `pkg:npm/${name.replace('@', '%40')}@${release}`),
    ),
    ...base.map(({ name, version: release, license }) => {
      const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(release)}?distro=debian-12`
      return component(name, release, license, purl)
    }),
  ]
  const self = `pkg:generic/image-resolver@${version}`
  const content = {
    metadata: {
      timestamp: new Date(epoch * 1_000).toISOString(),
      component: {
        ...component('image-resolver', version, 'Apache-2.0', self),
        type: 'application',
      },
    },
    components,
    dependencies: [{ ref: self, dependsOn: components.map((each) => each['bom-ref']) }],
  }
  const hash = createHash('sha256').update(JSON.stringify(content)).digest('hex')
  const serial = hash.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/, '$1-$2-5$3-8$4-$5')
  const head = { bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 }
  return `${JSON.stringify({ ...head, serialNumber: `urn:uuid:${serial}`, ...content }, null, 2)}\n`
}
