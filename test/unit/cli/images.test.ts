import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { ImageRecord } from '../../../api/v1/images.ts'
import type { CliContext } from '../../../src/cli/context.ts'
import { run } from '../../../src/cli/run.ts'
import { runCli } from '../../support/cli.ts'
import { digestOf } from '../../support/resolver.ts'

const [NGINX, APP, BARE] = [digestOf('nginx'), digestOf('app'), digestOf('bare')]
const INDEX = digestOf('index')
const short = (digest: string) => digest.slice('sha256:'.length, 'sha256:'.length + 12)

const IMAGES: readonly ImageRecord[] = [
  {
    imageId: NGINX,
    references: [
      `docker.io/library/nginx@${INDEX}`,
      'docker.io/library/nginx:latest',
      'docker.io/library/nginx:1.27',
    ],
    sizeBytes: 70_571_400,
    pinned: false,
  },
  { imageId: APP, references: [`hub:5000/team/app@${INDEX}`], sizeBytes: 999, pinned: false },
  { imageId: BARE, references: [], sizeBytes: 2_000, pinned: true },
]

function nodeWith(images: readonly ImageRecord[]) {
  return {
    node: async () => ({
      list: async () => images,
      named: async () => assert.fail(),
      pull: async () => assert.fail('nothing was to be pulled'),
      layers: async () => undefined,
      remove: async () => assert.fail('nothing was to be removed'),
      close: () => {},
    }),
  }
}

test('images has one line for each name, its digest beside it, in the order of names', async () => {
  const { code, out } = await runCli(['images'], nodeWith(IMAGES))

  const [index, nginx] = [short(INDEX), short(NGINX)]
  assert.equal(code, 0)
  assert.equal(
    out,
    [
      'NAME                            DIGEST        IMAGE ID          SIZE',
      `-                               -             ${short(BARE)}   2.0 KiB`,
      `docker.io/library/nginx:1.27    ${index}  ${nginx}  67.3 MiB`,
      `docker.io/library/nginx:latest  ${index}  ${nginx}  67.3 MiB`,
      `hub:5000/team/app               ${index}  ${short(APP)}     999 B`,
      '',
    ].join('\n'),
  )
})

test('images of a node without any prints nothing', async () => {
  assert.equal((await runCli(['images'], nodeWith([]))).out, '')
})

test('images --json is the body of GET /images', async () => {
  const { out } = await runCli(['images', '--json'], nodeWith(IMAGES))

  assert.deepEqual(JSON.parse(out), { images: IMAGES })
})

test('on a terminal a pull shows bytes and layers while they come', async () => {
  let tick: () => void = () => {}
  let end: (id: string) => void = () => {}
  let begin: () => void = () => {}
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const shown: string[] = []
  const seen = Promise.resolve({ done: 3, total: 7, bytes: 12_900_000, totalBytes: 70_571_400 })
  const code = run(['pull', 'nginx'], {
    stdin: Readable.from([]),
    stdout: { write: () => true },
    stderr: { isTTY: true, write: (text: string) => shown.push(text) },
    environment: {},
    every: (_ms: number, act: () => void) => {
      tick = act
      return () => {}
    },
    node: async () => ({
      ...(await nodeWith([]).node()),
      pull: () =>
        new Promise<string>((resolve) => {
          end = resolve
          begin()
        }),
      layers: () => seen,
    }),
  } as unknown as CliContext)
  await begun
  await setImmediate()

  tick()
  await setImmediate()
  tick()
  end(NGINX)

  assert.equal(await code, 0)
  assert.match(shown[0] ?? '', /still waiting for the pull of nginx \(1 s\)$/)
  assert.match(
    shown[1] ?? '',
    /still waiting for the pull of nginx: 12\.3 MiB of 67\.3 MiB, 3 of 7 layers \(2 s\)$/,
  )
})
