import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ImageRecord } from '../../../api/v1/images.ts'
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
