import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { ConfigFile } from '../../api/v1/config.ts'
import type { Schema } from '../../api/v1/schema.ts'
import { fieldsThat } from '../../src/config/config.ts'
import { describeProblem, formatProblem } from '../../src/config/diagnostics.ts'
import { loadText, problemsIn } from '../support/config.ts'

interface Field {
  readonly path: string
  readonly fallback: string
}

/** Every field of the schema that holds a value, or a list of fields, as the reference calls it. */
function fieldsOf(schema: Schema, path: string): readonly Field[] {
  if (schema.type === 'object') {
    const prefix = path === '' ? '' : `${path}.`
    return Object.entries(schema.properties).flatMap(([key, field]) =>
      fieldsOf(field, `${prefix}${key}`),
    )
  }
  const fallback = 'default' in schema ? `\`${schema.default}\`` : ''
  const items = schema.type === 'array' && schema.items.type === 'object' ? schema.items : undefined
  return [{ path, fallback }, ...(items === undefined ? [] : fieldsOf(items, `${path}[]`))]
}

async function page(name: string): Promise<string> {
  return await readFile(new URL(`../../${name}`, import.meta.url), 'utf8')
}

function fences(markdown: string, language: string): readonly string[] {
  const all = [...markdown.matchAll(/^ *```(\w+)\n([\s\S]*?)^ *```$/gm)]
  return all.filter(([, name]) => name === language).map(([, , text = '']) => text)
}

test('the reference has every field of the schema with its default, and no other', async () => {
  const rows = (await page('docs/configuration.md'))
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()))

  const documented = rows.map(([, path = '', , fallback = '']) => ({
    path: path.replaceAll('`', ''),
    fallback,
  }))

  assert.deepEqual(documented, fieldsOf(ConfigFile, ''))
})

test('the reference names every field of which a change waits for a restart', async () => {
  const [, section = ''] = (await page('docs/configuration.md')).split(
    '## Changes while the service runs',
  )
  const [, restart = ''] = section.split('These need a restart')

  for (const { name } of fieldsThat('restart')) {
    const [whole = ''] = name.split('.', 1)
    assert.ok(
      [name, whole].some((each) => restart.includes(`\`${each}\``)),
      name,
    )
  }
})

test('every row of the reference says what the field means', async () => {
  const rows = (await page('docs/configuration.md'))
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()))

  assert.deepEqual(
    rows.filter((cells) => cells.length !== 7 || cells[2] === '' || cells[5] === ''),
    [],
  )
})

for (const name of ['docs/configuration.md', 'docs/migrating-from-image-cri-shim.md']) {
  test(`every YAML example in ${name} loads without a warning`, async () => {
    const examples = fences(await page(name), 'yaml')

    assert.ok(examples.length > 0)
    for (const example of examples) assert.deepEqual(loadText(example).warnings, [])
  })
}

test('the commented file in deploy loads, and says the defaults', async () => {
  const { config, warnings } = loadText(await page('deploy/image-resolver.yaml'))

  assert.deepEqual(warnings, [])
  assert.deepEqual({ ...config, criExpected: false }, loadText('').config)
})

test('the registries that the file in deploy shows load once they are uncommented', async () => {
  const text = await page('deploy/image-resolver.yaml')
  const uncommented = text
    .replace(/^# (?=address: |auth: )/gm, '')
    .replace(/^ {2}# (?=- address| {2}auth: | {2}priority: | {2}upstreams: \[docker)/gm, '  ')

  const { config, warnings } = loadText(uncommented)

  assert.deepEqual(warnings, [])
  assert.deepEqual(
    config.registries.map(({ name }) => name),
    ['sealos.hub:5000', 'harbor.corp/proxy-docker', 'docker.io', 'registry.corp:5000/mirror'],
  )
})

test('the commented file in deploy shows every field', async () => {
  const text = await page('deploy/image-resolver.yaml')

  const names = fieldsOf(ConfigFile, '').map(({ path }) => path.replace(/^.*[.]/, ''))

  assert.deepEqual(
    names.filter((name) => !new RegExp(`^[ #-]*${name}:`, 'm').test(text)),
    [],
  )
})

test('the mistakes in the reference are what a file with them is told', async () => {
  const [shown = ''] = fences(await page('docs/configuration.md'), 'console').filter((text) =>
    text.includes('adress'),
  )
  const file = '/etc/image-resolver.yaml'

  const problems = problemsIn('debug: true\nregistries:\n- adress: quay.io\n\ntimeout: 30\n')

  assert.deepEqual(
    shown.trim().split('\n').slice(1),
    problems.map((problem) => formatProblem(file, problem)),
  )
})

test('what is not YAML is shown in the reference as a file with it is told', async () => {
  const [shown = ''] = fences(await page('docs/configuration.md'), 'console').filter((text) =>
    text.includes('anchor'),
  )

  const [problem] = problemsIn('mirrorsOnly:\n- *.k8s.io\n')

  assert.ok(problem)
  assert.equal(
    shown.trim().split('\n').slice(1).join('\n'),
    describeProblem('/etc/image-resolver.yaml', problem),
  )
})
