import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { FOLDERS, HOMES } from './import-rules.ts'

/** A package that is installed and has no home. */
const STRANGER = 'fast-check'

export interface PlantedModules {
  readonly folder: string
  /** What an inspection has to find, sorted; rings between the files of this list's own aside. */
  readonly violations: readonly string[]
  remove(): void
}

/**
 * A tree in which every folder imports every other one and every package, rightly and wrongly: each
 * rule has to fire at each of its mistakes and to keep still otherwise.
 *
 * @param packages the node_modules folder to use
 */
export function plantModules(packages: string): PlantedModules {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'modules-')))
  symlinkSync(packages, join(folder, 'node_modules'))
  const violations: string[] = []

  function plant(path: string, lines: readonly string[]): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), ['export type T = 1', ...lines, ''].join('\n'))
  }

  plant('test/helper.ts', [])
  for (const [name, { path, uses, usesTypesOf = [] }] of Object.entries(FOLDERS)) {
    const importer = fileIn(path, 'importer.ts')
    const lines = [`import '${specifier(importer, 'test/helper.ts')}'`]
    violations.push(`imports-of-${name}: ${importer} -> test/helper.ts`)
    if (path !== importer) plant(fileIn(path, 'target.ts'), [])
    for (const [otherName, other] of Object.entries(FOLDERS)) {
      if (otherName === name) continue
      const target = fileIn(other.path, 'target.ts')
      lines.push(`import '${specifier(importer, target)}'`)
      if (usesTypesOf.includes(otherName)) {
        violations.push(`types-only-of-${name}: ${importer} -> ${target}`)
        const rightly = fileIn(path, `types-of-${otherName}.ts`)
        plant(rightly, [`import type { T as U } from '${specifier(rightly, target)}'`])
      } else if (!uses.includes(otherName)) {
        violations.push(`imports-of-${name}: ${importer} -> ${target}`)
      }
    }
    const packageHomes: typeof HOMES = { ...HOMES, [STRANGER]: [] }
    for (const [each, homes] of Object.entries(packageHomes)) {
      lines.push(`import '${each}'`)
      if (!homes.includes(name)) violations.push(`packages-of-${name}: ${importer} -> ${each}`)
    }
    plant(importer, lines)
  }
  plant('src/utils/strings.ts', [])
  violations.push('every-file-has-a-folder: src/utils/strings.ts')
  plant('src/http/gone.ts', [`import './missing.ts'`])
  violations.push('resolves: src/http/gone.ts -> ./missing.ts')
  plant('src/http/ring.ts', [`import type { T as U } from './around.ts'`])
  plant('src/http/around.ts', [`import './ring.ts'`])
  violations.push('no-cycle: src/http/around.ts -> src/http/ring.ts -> src/http/around.ts')
  return {
    folder,
    violations: violations.sort(),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function fileIn(path: string, name: string): string {
  return path.endsWith('/') ? `${path}${name}` : path
}

function specifier(from: string, to: string): string {
  const path = relative(dirname(from), to)
  return path.startsWith('.') ? path : `./${path}`
}
