import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../support/stack.ts'

const RELEASE = fileURLToPath(new URL('../../scripts/tag.ts', import.meta.url))
const TSX = import.meta.resolve('tsx')
const CHANGELOG = '# Changelog\n\n## Unreleased\n\n- It is.\n\n## 0.1.0 (2026-01-01)\n\n- It was.\n'

test('a release bumps, writes the changelog, commits, tags and packs', (t) => {
  const { git, read, release, folder } = plant(t)

  const { code, output } = release('0.2.0')

  const today = new Date().toISOString().slice(0, 10)
  assert.equal(code, 0, output)
  assert.equal(JSON.parse(read('package.json')).version, '0.2.0')
  assert.equal(read('openapi.txt'), '0.2.0\n')
  assert.equal(read('chart.txt'), '0.2.0\n')
  assert.equal(
    read('CHANGELOG.md').replace(/2\d{3}-\d\d-\d\d(?=\)\n\n- It is)/, today),
    CHANGELOG.replace('Unreleased', `Unreleased\n\n## 0.2.0 (${today})`),
  )
  assert.equal(git('log', '-1', '--format=%s', 'v0.2.0'), 'Release 0.2.0\n')
  assert.equal(git('status', '--porcelain'), '')
  assert.ok(existsSync(join(folder, 'thing-0.2.0.tgz')))
})

test('a dry run says what would be done, and writes nothing', (t) => {
  const { git, release } = plant(t)

  const { code, output } = release('0.2.0', '--dry-run')

  assert.equal(code, 0, output)
  for (const step of ['npm run check', '0.1.0 becomes 0.2.0', 'tag v0.2.0', 'npm pack']) {
    assert.ok(output.includes(step), `${step} in ${output}`)
  }
  assert.equal(git('status', '--porcelain'), '')
  assert.equal(git('tag'), '')
})

const REFUSALS: Readonly<Record<string, [string[], RegExp, ((scene: Planted) => unknown)?]>> = {
  'without a version': [[], /one version is expected/],
  'of what is no version': [['next'], /one version is expected/],
  'of an older version': [['0.0.9'], /0\.0\.9 is older than 0\.1\.0/],
  'of one that is tagged': [
    ['0.1.0'],
    /v0\.1\.0 exists already/,
    ({ git }) => git('tag', 'v0.1.0'),
  ],
  'of a changed tree': [
    ['0.2.0'],
    /not clean:\n.*CHANGELOG/,
    ({ folder }) => appendFileSync(join(folder, 'CHANGELOG.md'), 'x'),
  ],
  'that the check refuses': [
    ['0.2.0'],
    /npm run check ended with 1/,
    ({ folder, git }) => {
      const file = join(folder, 'package.json')
      writeFileSync(file, readFileSync(file, 'utf8').replace('"true"', '"false"'))
      git('commit', '--all', '--message', 'Break')
    },
  ],
  'with nothing to tell': [
    ['0.2.0'],
    /nothing is unreleased/,
    ({ folder, git }) => {
      writeFileSync(join(folder, 'CHANGELOG.md'), CHANGELOG.replace('- It is.\n\n', ''))
      git('commit', '--all', '--message', 'Empty')
    },
  ],
}
for (const [what, [args, message, prepare]] of Object.entries(REFUSALS)) {
  test(`a release ${what} is refused before anything is written`, (t) => {
    const planted = plant(t)
    prepare?.(planted)
    const before = planted.read('package.json')

    const { code, output } = planted.release(...args)

    assert.equal(code, 1)
    assert.match(output, message)
    assert.equal(planted.read('package.json'), before)
  })
}

type Planted = ReturnType<typeof plant>

/** A package in a repository, whose own scripts say that all is well. */
function plant(t: TestContext) {
  const folder = temporaryFolder(t)
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@example.com',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@example.com',
  }
  const run = (command: string, args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: folder,
      env,
      encoding: 'utf8',
    })
    return { code: status, output: stdout + stderr }
  }
  const git = (...args: string[]): string => {
    const { code, output } = run('git', args)
    assert.equal(code, 0, output)
    return output
  }
  const manifest = {
    name: 'thing',
    version: '0.1.0',
    scripts: {
      check: 'true',
      openapi: `node -p "require('./package.json').version" >openapi.txt`,
      manifests: `node -p "require('./package.json').version" >chart.txt`,
    },
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'CHANGELOG.md'), CHANGELOG)
  for (const name of ['openapi.txt', 'chart.txt']) writeFileSync(join(folder, name), '0.1.0\n')
  writeFileSync(join(folder, '.gitignore'), '.npm\n*.tgz\n')
  git('init', '--quiet')
  git('add', '.')
  git('commit', '--quiet', '--message', 'Begin')
  return {
    folder,
    git,
    read: (name: string) => readFileSync(join(folder, name), 'utf8'),
    release: (...args: string[]) => run(process.execPath, ['--import', TSX, RELEASE, ...args]),
  }
}
