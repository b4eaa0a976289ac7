import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { VERSION } from '../../api/version.ts'
import { BASE, baseFolder } from './base.ts'
import { billOfMaterials } from './bill-of-materials.ts'
import { writeFigures } from './figures.ts'
import { buildImage, type Variant } from './image.ts'
import { ARCHITECTURES, nodeFolder } from './node-binary.ts'
import { buildChart, buildDeb, buildRpm, buildTarball } from './packages.ts'

// `npm run release`: out/ with a tarball, a .deb and an .rpm for each processor, an image for both, the chart, bills of materials
// and SHA256SUMS. With --docs, sizes and start times are written into docs/install.md. The same commit gives the same
// bytes; SOURCE_DATE_EPOCH is the time of the commit.

const ROOT = join(import.meta.dirname, '../..')
const OUT = join(ROOT, 'out')

const epoch = Number(
  process.env['SOURCE_DATE_EPOCH'] ??
    execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' }).trim(),
)
rmSync(OUT, { recursive: true, force: true })
mkdirSync(OUT)
const files: string[] = []
const variants: Variant[] = []
const common = { root: ROOT, version: VERSION, epoch, effort: 'small', out: OUT } as const
for (const architecture of ARCHITECTURES) {
  const node = await nodeFolder(architecture)
  variants.push({ architecture, node, base: await baseFolder(architecture) })
  const options = { ...common, architecture, node }
  const builds = [buildTarball, buildDeb, buildRpm].map((build) => build(options))
  for (const file of await Promise.all(builds)) {
    told(file)
    files.push(file)
  }
}
told(await buildChart(common))
const image = await buildImage({ ...common, variants })
told(image)
files.push(image)
for (const [name, base] of [
  [`image-resolver-${VERSION}.cdx.json`, []],
  [`image-resolver-${VERSION}-oci.cdx.json`, BASE],
] as const) {
  const bill = join(OUT, name)
  writeFileSync(bill, billOfMaterials(ROOT, VERSION, epoch, base))
  told(bill)
}
const sums = readdirSync(OUT)
  .sort()
  .map((name) => {
    const digest = createHash('sha256')
      .update(readFileSync(join(OUT, name)))
      .digest('hex')
    return `${digest}  ${name}\n`
  })
writeFileSync(join(OUT, 'SHA256SUMS'), sums.join(''))
told(join(OUT, 'SHA256SUMS'))

if (process.argv.includes('--docs')) {
  await writeFigures(join(ROOT, 'docs/install.md'), files)
}

function told(file: string): void {
  const mebibytes = (statSync(file).size / 2 ** 20).toFixed(1)
  process.stdout.write(`${file.slice(ROOT.length + 1)}  ${mebibytes} MiB\n`)
}
