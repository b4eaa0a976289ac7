import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

// `npm run release:tag -- 1.2.3 [--dry-run]`, in the folder of the package: checks, gives the version to
// package.json, package-lock.json, the OpenAPI document, the chart and the changelog, commits, tags and packs.
// Nothing is pushed or published. With --dry-run nothing is written.

const args = process.argv.slice(2)
const isDry = args.includes('--dry-run')
const [version = '', ...others] = args.filter((each) => each !== '--dry-run')
const tag = `v${version}`

try {
  release()
} catch (error) {
  process.stderr.write(`release: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

function release(): void {
  if (others.length > 0 || !/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/.test(version)) {
    throw new Error('one version is expected, as 1.2.3: npm run release:tag -- 1.2.3 [--dry-run]')
  }
  const { version: current } = JSON.parse(readFileSync('package.json', 'utf8'))
  if (isOlder(version, current)) throw new Error(`${version} is older than ${current}`)
  if (read('git', 'tag', '--list', tag) !== '') throw new Error(`the tag ${tag} exists already`)
  const changed = read('git', 'status', '--porcelain')
  if (changed !== '') throw new Error(`the working tree is not clean:\n${changed}`)
  const changelog = releasedChangelog(readFileSync('CHANGELOG.md', 'utf8'))

  step('npm run check', () => run('npm', 'run', 'check'))
  step(`package.json, package-lock.json: ${current} becomes ${version}`, () =>
    run('npm', 'version', version, '--no-git-tag-version', '--allow-same-version'),
  )
  step('openapi/openapi.yaml is written again', () => run('npm', 'run', 'openapi'))
  step('the chart and plain manifests are written again', () => run('npm', 'run', 'manifests'))
  step('CHANGELOG.md: what is unreleased becomes this release', () =>
    writeFileSync('CHANGELOG.md', changelog),
  )
  step(`git commit and tag ${tag}`, () => {
    run('git', 'commit', '--quiet', '--all', '--message', `Release ${version}`)
    run('git', 'tag', '--annotate', tag, '--message', `Release ${version}`)
  })
  step('npm pack', () => run('npm', 'pack'))
}

/** A new empty section stands above that of the release. */
function releasedChangelog(text: string): string {
  const sections = text.split(/^## /m).map((section) => section.split(/\n+/))
  const unreleased = sections.find(([heading]) => heading === 'Unreleased')
  if (unreleased === undefined) throw new Error('CHANGELOG.md has no section "## Unreleased"')
  if (unreleased.slice(1).join('') === '') throw new Error('nothing is unreleased in CHANGELOG.md')
  const date = new Date().toISOString().slice(0, 10)
  return text.replace(/^## Unreleased$/m, `## Unreleased\n\n## ${version} (${date})`)
}

function isOlder(one: string, other: string): boolean {
  const [left, right] = [one, other].map((each) =>
    (each.split('-')[0] ?? '').split('.').map(Number),
  )
  const at = left?.findIndex((part, index) => part !== right?.[index]) ?? -1
  return at !== -1 && (left?.[at] ?? 0) < (right?.[at] ?? 0)
}

function step(what: string, work: () => void): void {
  process.stdout.write(`${isDry ? 'would be done' : 'release'}: ${what}\n`)
  if (!isDry) work()
}

function run(command: string, ...args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (status !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${status}`, { cause: error })
  }
}

function read(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`)
  return stdout.trimEnd()
}
