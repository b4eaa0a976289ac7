import assert from 'node:assert/strict'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { load } from 'js-yaml'
import type { CliContext } from '../../../src/cli/context.ts'
import { formatReference } from '../../../src/reference/reference.ts'
import type { ImagePlace } from '../../../src/resolver/availability.ts'
import type { NamedImage } from '../../../src/runtime/node-images.ts'
import { openedResolver, runCli } from '../../support/cli.ts'
import { digestOf } from '../../support/resolver.ts'
import { temporaryFolder } from '../../support/stack.ts'

type States = readonly [hub: ImagePlace['state'], origin: ImagePlace['state']]

/** A private registry and the origin, and what each says of an image. */
function places(said: Readonly<Record<string, States>>, input = ''): Partial<CliContext> {
  return {
    stdin: Readable.from([Buffer.from(input)]),
    resolver: openedResolver({
      created: async (_reference, digest) =>
        digest === digestOf('old') ? '2026-01-02T03:04:05.000Z' : undefined,
      requests: () => ({ HEAD: 2, GET: 0, POST: 0 }),
      places: async (reference, { known, platforms = [] } = {}) => {
        const name = formatReference(reference)
        const [hub, origin] = said[name] ?? assert.fail(name)
        const of = (state: ImagePlace['state']) =>
          state === 'present'
            ? {
                digest: digestOf(name),
                ...(platforms.length > 0 && { platforms: ['linux/amd64', 'linux/arm64/v8'] }),
              }
            : {}
        const failure = { code: 'UNAVAILABLE', message: 'refused the connection' } as const
        const all: readonly ImagePlace[] = [
          {
            registry: 'hub:5000',
            reference: `hub:5000/${reference.path}:${reference.tag}`,
            origin: false,
            configured: true,
            plainHttp: true,
            state: hub,
            ...of(hub),
            ...(hub === 'unknown' && { error: failure }),
          },
          {
            registry: reference.domain,
            reference: name,
            origin: true,
            configured: false,
            plainHttp: false,
            state: origin,
            ...of(origin),
          },
        ]
        return all.map((place) => known?.(place) ?? place)
      },
      close: async () => {},
    }),
  }
}

function nodeWith(images: readonly NamedImage[], asked: boolean[] = []): Partial<CliContext> {
  return {
    node: async () => ({
      list: async () => assert.fail(),
      layers: async () => undefined,
      named: async (all) => {
        asked.push(all)
        return images
      },
      pull: async () => assert.fail(),
      remove: async () => assert.fail(),
      close() {},
    }),
  }
}

const [A, B, C] = ['quay.io/t/a:1', 'quay.io/t/b:1', 'quay.io/t/c:1']
const LIST = `${A}\n${B}\n${C}\n`

describe('check', () => {
  it('shows each image, its state, and what each place said', async () => {
    const said: Record<string, States> = {
      [A]: ['present', 'present'],
      [B]: ['absent', 'present'],
      [C]: ['unknown', 'present'],
    }
    const { code, out } = await runCli(['check', '-'], places(said, LIST))
    assert.equal(code, 6)
    assert.match(out, /^quay\.io\/t\/a:1 +everywhere +hub:5000: yes, quay\.io: yes$/m)
    assert.match(out, /^quay\.io\/t\/b:1 +origin-only +hub:5000: absent, quay\.io: yes$/m)
    assert.match(out, /^quay\.io\/t\/c:1 +unknown +hub:5000: unknown, quay\.io: yes$/m)
    assert.match(out, /^ {2}hub:5000: UNAVAILABLE: refused the connection$/m)
    assert.match(out, /^ {2}-:2:1$/m)
  })

  it('ends with 1 for the states that --fail-on names, and for no other', async () => {
    const said: Record<string, States> = {
      [A]: ['absent', 'absent'],
      [B]: ['absent', 'present'],
      [C]: ['present', 'present'],
    }
    const codes: number[] = []
    for (const failOn of [[], ['--fail-on', 'nothing'], ['--fail-on', 'different,origin-only']]) {
      codes.push((await runCli(['check', '-', ...failOn], places(said, LIST))).code)
    }
    assert.deepEqual(codes, [1, 0, 1])
    const wrong = await runCli(['check', '-', '--fail-on', 'lost'])
    assert.equal(wrong.code, 2)
    assert.match(wrong.err, /--fail-on knows everywhere, /)
  })

  it('--json tells everything', async () => {
    const said: Record<string, States> = { [A]: ['absent', 'denied'] }
    const { out } = await runCli(['check', '-', '--json'], places(said, A))
    const { images } = JSON.parse(out)
    assert.equal(images[0].state, 'denied')
    assert.deepEqual(
      images[0].places.map((each: ImagePlace) => [each.reference, each.state]),
      [
        ['hub:5000/t/a:1', 'absent'],
        ['quay.io/t/a:1', 'denied'],
      ],
    )
  })

  it('says what is no reference, and ends with 3 where that is all', async () => {
    const { code, out } = await runCli(['check', '-'], places({}, 'UPPER:1\n'))
    assert.equal(code, 3)
    assert.match(out, /UPPER:1 +malformed/)
  })

  it('without files looks for what the node has, and tells of tags that have moved', async () => {
    const said: Record<string, States> = {
      [A]: ['present', 'present'],
      [B]: ['absent', 'absent'],
    }
    const images = [A, B].map((name, index) => ({
      names: [name],
      repoDigests: [`quay.io/t/${'ab'[index]}@${digestOf('old')}`, `quay.io/x@${digestOf('x')}`],
    }))
    const { code, out } = await runCli(['check'], { ...places(said), ...nodeWith(images) })
    assert.equal(code, 1)
    assert.match(out, /a:1 +everywhere .*\n {2}its tag has moved: it is sha256:[0-9a-f]{64}\n/)
    assert.match(out, /\n {2}this node has sha256:[0-9a-f]{64}, built 2026-01-02 03:04:05Z\n/)
    assert.match(out, /b:1 +node-only /)
    const moved = await runCli(['check', '--fail-on', 'moved'], {
      ...places(said),
      ...nodeWith(images),
    })
    assert.equal(moved.code, 1)
  })

  it('looks for what pods of the node use, and for all with --all', async () => {
    const asked: boolean[] = []
    for (const args of [['check'], ['check', '--all']]) {
      await runCli(args, { ...places({}), ...nodeWith([], asked) })
    }
    assert.deepEqual(asked, [false, true])
    assert.equal((await runCli(['check', '--all', '-'])).code, 2)
  })

  it('--platform says which platforms are there, and fails where one is nowhere', async () => {
    const said: Record<string, States> = { [A]: ['present', 'present'] }
    const there = 'linux/amd64, linux/arm64'
    const fine = await runCli(['check', '-', '--platform', there], places(said, A))
    assert.equal(fine.code, 0)
    assert.match(fine.out, /hub:5000: yes \(linux\/amd64 linux\/arm64\/v8\)/)
    const lacking = await runCli(['check', '-', '--platform', 'linux/s390x'], places(said, A))
    assert.equal(lacking.code, 1)
    assert.match(lacking.out, /^ {2}nothing for linux\/s390x there$/m)
    assert.equal((await runCli(['check', '-', '--platform', 'arm64'])).code, 3)
  })

  it('--resume asks for nothing again that was answered, and begins anew when all is', async (t) => {
    const file = join(temporaryFolder(t), 'answers')
    const run = (states: States) =>
      runCli(['check', '-', '--resume', file, '--json'], places({ [A]: states }, A))
    const first = await run(['present', 'unknown'])
    assert.equal(first.code, 6)
    assert.match(first.err, /answers keeps what was answered: the next run asks for the rest\n$/)
    appendFileSync(file, '{"at":1')
    // The answer of the hub is taken from the file.
    const second = await run(['absent', 'present'])
    const [image] = JSON.parse(second.out).images
    assert.deepEqual([second.code, image.state], [0, 'everywhere'])
    assert.equal(existsSync(file), false)
    writeFileSync(file, 'precious\n')
    const wrong = await run(['present', 'present'])
    assert.equal(wrong.code, 2)
    assert.equal(readFileSync(file, 'utf8'), 'precious\n')
  })

  it('--plan writes what copies the missing ones, in the form of each tool', async () => {
    const said: Record<string, States> = {
      [A]: ['absent', 'present'],
      [B]: ['absent', 'present'],
      [C]: ['present', 'present'],
    }
    const plan = async (tool: string) =>
      (await runCli(['check', '-', '--plan', tool], places(said, LIST))).out

    assert.equal(
      (await plan('skopeo')).split('\n')[0],
      `skopeo copy --all --preserve-digests --dest-tls-verify=false docker://quay.io/t/a@${digestOf(A)} docker://hub:5000/t/a:1`,
    )
    assert.equal(
      (await plan('crane')).split('\n')[1],
      `crane copy --insecure quay.io/t/b@${digestOf(B)} hub:5000/t/b:1`,
    )
    assert.deepEqual(load(await plan('regsync')), {
      version: 1,
      creds: [{ registry: 'hub:5000', tls: 'disabled' }],
      sync: [
        { source: `quay.io/t/a@${digestOf(A)}`, target: 'hub:5000/t/a:1', type: 'image' },
        { source: `quay.io/t/b@${digestOf(B)}`, target: 'hub:5000/t/b:1', type: 'image' },
      ],
    })
    for (const tool of ['hauler', 'zarf', 'oc-mirror']) {
      const document = JSON.stringify(load(await plan(tool)))
      assert.ok(document.includes(A) && document.includes(B) && !document.includes(C), document)
    }
    const wrong = await runCli(['check', '-', '--plan', 'rsync'])
    assert.equal(wrong.code, 2)
  })

  it('--plan is a comment where nothing is missing', async () => {
    const { code, out } = await runCli(
      ['check', '-', '--plan', 'skopeo'],
      places({ [A]: ['present', 'present'] }, A),
    )
    assert.deepEqual([code, out], [0, '# nothing is to be copied\n'])
  })
})
