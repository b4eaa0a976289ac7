import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'smol-toml'
import { readHostsDir } from '../../src/config/sources/hosts-dir.ts'
import { ConfiguredRegistries } from '../../src/registry/registries.ts'

const HOSTS = ['a.corp', 'b.corp', 'c.corp:5000', 'quay.io', 'registry-1.docker.io'] as const
const DOMAINS = ['docker.io', 'quay.io', 'hub.corp', 'a.corp'] as const
const SECRET = 'S3CR3T'

const rule = fc.record(
  {
    capabilities: fc.subarray(['pull', 'resolve', 'push']),
    header: fc.constant({ 'x-token': SECRET }),
    override_path: fc.boolean(),
    ca: fc.constant('ca.crt'),
    bogus: fc.constant(SECRET),
  },
  { requiredKeys: [] },
)
const url = fc
  .tuple(
    fc.constantFrom('', 'http://', 'https://'),
    fc.constantFrom(...HOSTS),
    fc.constantFrom('', '/', '/v2/team', '/us'),
  )
  .map((parts) => parts.join(''))
const file = fc
  .tuple(rule, fc.option(url), fc.uniqueArray(fc.tuple(url, rule), { selector: ([each]) => each }))
  .map(([own, server, hosts]) => ({
    ...own,
    ...(server === null ? {} : { server }),
    host: Object.fromEntries(hosts),
  }))
const folders = fc.dictionary(fc.constantFrom(...DOMAINS, '_default'), file)

function read(texts: Readonly<Record<string, string>>): ReturnType<typeof readHostsDir> {
  return readHostsDir('/d', {
    list: async (path) => (path === '/d' ? Object.keys(texts) : []),
    read: async (path) => texts[path.split('/')[2] ?? ''],
  })
}

test('for any folders names are unique, priorities fall, and no public registry hears others’ names', async () => {
  await fc.assert(
    fc.asyncProperty(folders, async (written) => {
      const texts = Object.entries(written).map(([name, each]) => [name, stringify(each)])

      const { entries, warnings } = await read(Object.fromEntries(texts))

      const priorities = entries.map(({ priority }) => priority)
      assert.equal(new Set(entries.map(({ name }) => name)).size, entries.length)
      assert.deepEqual(
        priorities,
        [...new Set(priorities)].sort((one, other) => other - one),
      )
      const registries = new ConfiguredRegistries(entries, 1)
      const serving = registries.serving({ domain: 'private.corp', path: 'app' })
      assert.ok(serving.every(({ endpoint }) => endpoint.host.includes('.corp')))
      assert.ok(!warnings.some((warning) => warning.includes(SECRET)))
    }),
  )
})

test('no bytes in a hosts.toml keep the others from being read', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc
      .array(fc.constantFrom('[host.', '"https://a"', ']', '=', '\n', 'server', '"', '{', '[['))
      .map((parts) => parts.join('')),
  )
  await fc.assert(
    fc.asyncProperty(text, async (bad) => {
      const { entries } = await read({
        'docker.io': bad,
        'hub.corp': '[host."https://only.corp"]',
      })

      assert.ok(entries.some(({ name }) => name.startsWith('only.corp')))
    }),
  )
})
