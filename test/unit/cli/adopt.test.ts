import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AdoptCommandOptions, adoptCommand } from '../../../src/cli/commands/adopt.ts'
import { ResolveError } from '../../../src/errors.ts'
import { parseAddress } from '../../../src/registry/endpoint.ts'

async function adopt(options: Partial<AdoptCommandOptions>, names: readonly string[]) {
  const given: string[][] = []
  let text = ''
  let closed = 0
  const registry = { name: 'hub:5000', priority: 1, offline: true }
  await adoptCommand({
    dryRun: false,
    domain: undefined,
    json: false,
    world: {
      stdout: {
        write: (chunk) => {
          text += chunk
        },
      },
      stderr: { write: () => assert.fail('there is nothing to complain about') },
      environment: {},
    },
    open: async () => ({
      registries: [{ ...registry, endpoint: parseAddress('http://hub:5000') }],
      images: async () => [{ id: 'i', repoTags: names, repoDigests: [], size: 1n, pinned: false }],
      name: async (...pair) => {
        given.push(pair)
        return true
      },
      close: () => {
        closed += 1
      },
    }),
    ...options,
  })
  assert.equal(closed, 1)
  return { text, given }
}

test('adopt gives the names that are missing and says so', async () => {
  const { text, given } = await adopt({ domain: 'docker.io' }, [
    'hub:5000/library/x:1',
    'hub:5000/pause:3',
  ])

  assert.deepEqual(given, [['hub:5000/library/x:1', 'docker.io/library/x:1']])
  assert.equal(
    text,
    'hub:5000/library/x:1 -> docker.io/library/x:1: added\n' +
      'hub:5000/pause:3: left as it is: no image of docker.io is asked for there by that path\n' +
      '1 added, 1 unknown\n',
  )
})

test('adopt --dry-run gives none', async () => {
  const { text, given } = await adopt({ domain: 'docker.io', dryRun: true }, [
    'hub:5000/library/x:1',
  ])

  assert.deepEqual(given, [])
  assert.match(text, /would be added\n1 would be added\n$/)
})

test('adopt --json prints every name as an object', async () => {
  const { text } = await adopt({ json: true }, ['hub:5000/library/x:1'])

  const [{ reason, ...result }] = JSON.parse(text)
  assert.deepEqual(result, { imageId: 'i', from: 'hub:5000/library/x:1', outcome: 'unknown' })
  assert.match(reason, /--domain/)
})

test('adopt says so when there is nothing to do', async () => {
  const { text } = await adopt({}, ['docker.io/library/x:1'])

  assert.equal(text, 'no image has a name of a configured registry\n')
})

test('adopt takes no domain that references cannot have', async () => {
  for (const domain of ['nginx', 'docker.io/library', '']) {
    await assert.rejects(
      adopt({ domain }, []),
      (error) => error instanceof ResolveError && error.code === 'CONFIG_INVALID',
    )
  }
})
