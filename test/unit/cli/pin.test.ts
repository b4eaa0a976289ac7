import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { CliContext } from '../../../src/cli/context.ts'
import { ResolveError } from '../../../src/errors.ts'
import {
  formatReference,
  parseReference,
  type Reference,
} from '../../../src/reference/reference.ts'
import { openedResolver, runCli } from '../../support/cli.ts'
import { identity } from '../../support/resolver.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pin-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const read = (path: string): string => readFileSync(path, 'utf8')

/** What a registry says of each tag; of a digest, that it is there. */
function registry(tags: Readonly<Record<string, string>> = {}) {
  const asked: string[] = []
  const context: Partial<CliContext> = {
    resolver: openedResolver({
      askedFor: () => ['hub:5000'],
      created: async () => '2026-01-02T03:04:05.000Z',
      answer: async (input) => {
        asked.push(input)
        const reference = parseReference(input)
        const written = formatReference(reference)
        const known = reference.digest ?? tags[written]
        if (known === undefined) {
          throw new ResolveError('MANIFEST_UNKNOWN', `${written} is not there`)
        }
        return {
          ...identity(written),
          requested: input,
          reference: written,
          digest: known,
          references: [],
          registry: 'hub:5000',
          source: 'registry',
          resolvedAt: 0,
          expiresAt: undefined,
          attempts: [],
        }
      },
      close: async () => {},
    }),
  }
  return { context, asked }
}

const ONE = `sha256:${'1'.repeat(64)}`
const TWO = `sha256:${'2'.repeat(64)}`
const NGINX = 'docker.io/library/nginx:1.27'
const POD = 'apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - image: nginx:1.27 # web\n'
const PINNED = POD.replace('nginx:1.27', `nginx:1.27@${ONE}`)

describe('pin', () => {
  it('prints one file, pinned, and nothing else', async () => {
    const path = file('pod.yaml', POD)
    const { code, out, err } = await runCli(['pin', path], registry({ [NGINX]: ONE }).context)
    assert.deepEqual([code, out], [0, PINNED])
    assert.equal(err, '')
    assert.equal(read(path), POD)
  })

  it('reads standard input', async () => {
    const { context } = registry({ [NGINX]: ONE })
    const stdin = Readable.from([Buffer.from(POD)])
    const { code, out } = await runCli(['pin', '-'], { ...context, stdin })
    assert.deepEqual([code, out], [0, PINNED])
  })

  it('prints nothing where an image is not found, or the text is no YAML', async () => {
    for (const text of [`${POD}    - image: gone:1\n`, `${POD}{{- if x }}\n`]) {
      const { context } = registry({ [NGINX]: ONE })
      const { code, out, err } = await runCli(['pin', file('pod.yaml', text)], context)
      assert.notEqual(code, 0)
      assert.equal(out, '')
      assert.match(err, /pod\.yaml:6:/)
    }
  })

  it('takes several files only where it is said what becomes of them', async () => {
    const names = [file('a.yaml', POD), file('b.yaml', POD)]
    const { code, err } = await runCli(['pin', ...names], registry().context)
    assert.equal(code, 2)
    assert.match(err, /--write, --diff or --check/)
  })

  it('--write writes files, with mode and link as they were, and leaves nothing beside them', async () => {
    const path = file('pod.yaml', POD)
    chmodSync(path, 0o640)
    symlinkSync('pod.yaml', join(folder, 'link.yaml'))
    const link = join(folder, 'link.yaml')
    const { code } = await runCli(['pin', link, '--write'], registry({ [NGINX]: ONE }).context)
    assert.equal(code, 0)
    assert.equal(read(path), PINNED)
    assert.equal(statSync(path).mode & 0o777, 0o640)
    assert.deepEqual(readdirSync(folder), ['link.yaml', 'pod.yaml'])
  })

  it('reads of a folder the files that links lead to, as all do in the volume of a ConfigMap', async () => {
    mkdirSync(join(folder, '..data'))
    const path = file('..data/pod.yaml', POD)
    symlinkSync('..data/pod.yaml', join(folder, 'pod.yaml'))
    symlinkSync('..data', join(folder, 'same.yaml'))
    const { context } = registry({ [NGINX]: ONE })
    assert.equal((await runCli(['pin', folder, '--write'], context)).code, 0)
    assert.equal(read(path), PINNED)

    symlinkSync('gone.yaml', join(folder, 'lost.yaml'))
    const { code, err } = await runCli(['pin', folder, '--check'], context)
    assert.deepEqual([code, /lost\.yaml is not there/.test(err)], [2, true])
  })

  it('changes nothing the second time, and asks whether the digests are there', async () => {
    const path = file('pod.yaml', PINNED)
    const { context, asked } = registry({ [NGINX]: TWO })
    const { code, out } = await runCli(['pin', path, '--write'], context)
    assert.deepEqual([code, out, read(path)], [0, '', PINNED])
    assert.deepEqual(asked, [`docker.io/library/nginx@${ONE}`])
  })

  it('--update moves what is pinned on', async () => {
    const path = file('pod.yaml', PINNED)
    const { context } = registry({ [NGINX]: TWO })
    const { code } = await runCli(['pin', path, '--write', '--update'], context)
    assert.deepEqual([code, read(path)], [0, PINNED.replace(ONE, TWO)])
  })

  it('reads the YAML and Dockerfiles of folders, and asks once for each image', async () => {
    mkdirSync(join(folder, 'sub', '.git'), { recursive: true })
    const names = ['a.yaml', 'sub/b.yml', 'sub/.git/c.yaml', 'd.txt'].map((name) => file(name, POD))
    const docker = file('sub/Dockerfile', 'FROM nginx:1.27\n')
    const { context, asked } = registry({ [NGINX]: ONE })
    const { code } = await runCli(['pin', folder, '--write'], context)
    assert.equal(code, 0)
    assert.deepEqual(asked, [NGINX])
    assert.deepEqual(names.map(read), [PINNED, PINNED, POD, POD])
    assert.equal(read(docker), `FROM nginx:1.27@${ONE}\n`)
  })

  it('leaves a file alone that has an image which is not found, and writes the others', async () => {
    const bad = file('bad.yaml', `${POD}    - image: gone:1\n`)
    const good = file('good.yaml', POD)
    const { context } = registry({ [NGINX]: ONE })
    const { code, err } = await runCli(['pin', bad, good, '--write'], context)
    assert.equal(code, 4)
    assert.match(err, /bad\.yaml:6:14: gone:1: MANIFEST_UNKNOWN: .* is not there/)
    assert.deepEqual([read(bad), read(good)], [`${POD}    - image: gone:1\n`, PINNED])
  })

  it('does not write a file that is no YAML, and says where', async () => {
    const broken = `${POD}{{- if x }}\n`
    const path = file('broken.yaml', broken)
    const { code, err } = await runCli(['pin', path, '--write'], registry({ [NGINX]: ONE }).context)
    assert.equal(code, 1)
    assert.match(
      err,
      /broken\.yaml:6:3: no valid YAML: .*; it is a template: give what is rendered from it\n$/,
    )
    assert.equal(read(path), broken)
  })

  it('shows a terminal no control character of a file, and a pipe each byte', async () => {
    const path = file('pod.yaml', POD.replace('web', '\u001b[31mweb\ttab\r'))
    for (const words of [
      ['pin', path],
      ['pin', path, '--diff'],
    ]) {
      const { context } = registry({ [NGINX]: ONE })
      const [piped, shown] = await Promise.all(
        [false, true].map(async (terminal) => (await runCli(words, { ...context, terminal })).out),
      )
      assert.ok(piped?.includes('# \u001b[31mweb\ttab\r\n'))
      assert.equal(shown, piped?.replaceAll('\u001b', '\\u{1b}'))
    }
  })

  it('--check fails for a tag that different images share, and check looks for both', async () => {
    const text =
      'tag: &tag latest\na: {repository: nginx, tag: *tag}\nb: {repository: busybox, tag: *tag}\n'
    const path = file('values.yaml', text)
    const pinned = await runCli(['pin', path, '--check'], registry().context)
    assert.deepEqual([pinned.code, pinned.out], [1, ''])
    assert.match(pinned.err, /values\.yaml:1:11: passed over: a and b are different images/)
    const asked: string[] = []
    const places = (reference: Reference) => {
      asked.push(formatReference(reference))
      return Promise.resolve([])
    }
    const created = () => assert.fail()
    await runCli(['check', path], { resolver: openedResolver({ places, created }) })
    assert.deepEqual(asked, ['docker.io/library/nginx:latest', 'docker.io/library/busybox:latest'])
  })

  it('leaves a file as it is that would be no YAML', async () => {
    const text = 'images:\n- name: nginx\n  ? newTag\n  : "1.27"\n'
    const path = file('kustomization.yaml', text)
    for (const mode of ['--write', '--diff']) {
      const { code, err, out } = await runCli(
        ['pin', path, mode],
        registry({ [NGINX]: ONE }).context,
      )
      assert.deepEqual([code, out, read(path)], [1, '', text])
      assert.match(err, /would be no valid YAML/)
    }
  })

  it('writes no file where the lock file cannot be written', async () => {
    const path = file('pod.yaml', POD)
    const lock = join(folder, 'absent', 'l.yaml')
    const { context } = registry({ [NGINX]: ONE })
    const { code } = await runCli(['pin', path, '--write', '--lock', lock], context)
    assert.deepEqual([code, read(path)], [2, POD])
  })

  it('shows no control character of the name of a file', async () => {
    const { err } = await runCli(['pin', join(folder, '\u001b[31m.yaml')])
    assert.ok(!err.includes('\u001b'))
    assert.ok(err.includes('\\u{1b}[31m.yaml is not there'))
  })

  it('--diff prints what would change', async () => {
    const path = file('pod.yaml', POD)
    const { code, out } = await runCli(['pin', path, '--diff'], registry({ [NGINX]: ONE }).context)
    assert.equal(code, 0)
    assert.match(
      out,
      /^- {4}- image: nginx:1\.27 # web\n\+ {4}- image: nginx:1\.27@sha256:1+ # web$/m,
    )
    assert.equal(read(path), POD)
  })

  it('--check fails for what is not pinned or has moved, and annotates it on GitHub', async () => {
    const unpinned = file('a.yaml', POD)
    const moved = file('b.yaml', PINNED)
    const fine = file('c.yaml', PINNED.replace(ONE, TWO))
    const { context } = registry({ [NGINX]: TWO })
    const environment = { GITHUB_ACTIONS: 'true' }
    const args = ['pin', '--check', unpinned, moved, fine]
    const { code, out } = await runCli(args, { ...context, environment })
    assert.equal(code, 1)
    assert.deepEqual(out.split('\n'), [
      `${unpinned}:5:14: nginx:1.27 is not pinned to a digest`,
      `::error file=${unpinned},line=5,col=14::nginx:1.27 is not pinned to a digest`,
      `${moved}:5:14: nginx:1.27@${ONE} has moved: it is ${TWO} now`,
      `::error file=${moved},line=5,col=14::nginx:1.27@${ONE} has moved: it is ${TWO} now`,
      '',
    ])
  })

  it('--json tells each place with its state', async () => {
    const path = file('pod.yaml', PINNED)
    const { context } = registry({ [NGINX]: TWO })
    const { out } = await runCli(['pin', '--check', '--json', path], context)
    assert.deepEqual(JSON.parse(out), {
      images: [
        {
          file: path,
          line: 5,
          column: 14,
          path: 'spec.containers[0].image',
          reference: `nginx:1.27@${ONE}`,
          state: 'changed',
          digest: TWO,
          from: ONE,
        },
      ],
    })
  })

  it('--lock keeps what was pinned, so that the next run writes the same and asks nobody', async () => {
    const path = file('pod.yaml', POD)
    const lock = join(folder, 'images.lock.yaml')
    await runCli(['pin', path, '--lock', lock], registry({ [NGINX]: ONE }).context)
    const first = read(lock)
    assert.match(first, /docker\.io\/library\/nginx:1\.27:\n {4}digest: sha256:1+\n/)

    const later = registry({ [NGINX]: TWO })
    const again = await runCli(['pin', path, '--lock', lock], later.context)
    const offline = await runCli(['pin', path, '--lock', lock, '--offline'])

    assert.deepEqual([again.out, offline.out], [PINNED, PINNED])
    assert.deepEqual([later.asked, read(lock)], [[], first])
  })

  it('--lock also keeps what was pinned before there was a lock file', async () => {
    const path = file('pod.yaml', `${PINNED}    - image: nginx:next@${ONE}\n`)
    const lock = join(folder, 'images.lock.yaml')
    const { context } = registry({ [NGINX]: TWO })

    const first = await runCli(['pin', path, '--write', '--lock', lock], context)
    const offline = await runCli(['pin', path, '--check', '--lock', lock, '--offline'])

    assert.deepEqual([first.code, offline.code, offline.err], [0, 0, ''])
    for (const tag of ['1.27', 'next'])
      assert.ok(read(lock).includes(`nginx:${tag}:\n    digest: ${ONE}`))
    writeFileSync(lock, read(lock).replaceAll(ONE, TWO))
    await runCli(['pin', path, '--write', '--lock', lock], context)
    assert.ok(!read(lock).includes(ONE))
  })

  it('--lock takes an empty file for one that is yet to be written, where it is written', async () => {
    const path = file('pod.yaml', POD)
    const lock = file('images.lock.yaml', '')
    const absent = join(folder, 'absent.lock.yaml')
    for (const [words, name, why] of [
      [['pin', path, '--write', '--offline'], lock, 'is empty'],
      [['pin', path, '--check'], lock, 'is empty'],
      [['drift'], lock, 'is empty'],
      [['drift', path], lock, 'is empty'],
      [['pin', path, '--check'], absent, 'is not there'],
    ] as const) {
      const { code, err } = await runCli([...words, '--lock', name], registry().context)
      assert.deepEqual([code, err], [2, `image-resolver: ${name} ${why}\n`])
    }
    assert.deepEqual([read(lock), read(path)], ['', POD])

    const { context } = registry({ [NGINX]: ONE })
    const { code } = await runCli(['pin', path, '--write', '--lock', lock], context)

    assert.equal(code, 0)
    assert.match(read(lock), /docker\.io\/library\/nginx:1\.27:\n {4}digest: sha256:1+\n/)
  })

  it('--lock of one platform is none of another, nor of all', async () => {
    const path = file('pod.yaml', POD)
    const [all, arm] = [join(folder, 'all.yaml'), join(folder, 'arm.yaml')]
    const { context } = registry({ [NGINX]: ONE })
    const pin = (lock: string, ...words: string[]) =>
      runCli(['pin', path, '--lock', lock, ...words], context)
    await pin(all)
    const { out } = await pin(arm, '--platform', 'Linux/aarch64')

    assert.match(read(arm), /^platform: linux\/arm64$/m)
    for (const [lock, words, how] of [
      [all, ['--platform', 'linux/arm64'], 'without --platform'],
      [arm, [], 'with --platform linux/arm64'],
      [arm, ['--platform', 'linux/amd64'], 'with --platform linux/arm64'],
    ] as const) {
      const { code, err } = await pin(lock, ...words)
      assert.deepEqual([code, err.includes(`${lock} was written ${how}:`)], [2, true])
    }
    assert.notEqual(out, PINNED)
    assert.equal((await pin(arm, '--platform', 'linux/arm64/v8', '--offline')).out, out)
  })

  it('reads a lock file in which aliases multiply', async () => {
    const levels = Array.from(
      { length: 30 },
      (_, n) => `l${n + 1}: &l${n + 1} [${Array(10).fill(`*l${n}`).join(', ')}]`,
    )
    const image = `{digest: '${ONE}', registry: *l30, platforms: {linux/amd64: *l30}}`
    const text = `l0: &l0 a\n${levels.join('\n')}\nversion: 1\nimages: {'${NGINX}': ${image}}\n`
    const { code, out } = await runCli([
      ...['pin', file('pod.yaml', POD), '--offline'],
      ...['--lock', file('l.yaml', text)],
    ])
    assert.deepEqual([code, out], [0, PINNED])
  })

  it('--offline fails for what the lock file does not have', async () => {
    const path = file('pod.yaml', POD)
    const lock = file('images.lock.yaml', 'version: 1\nimages: {}\n')
    const { code, err } = await runCli(['pin', path, '--lock', lock, '--offline', '--write'])
    assert.equal(code, 6)
    assert.match(err, /the lock file has no docker\.io\/library\/nginx:1\.27/)
    assert.equal((await runCli(['pin', path, '--offline'])).code, 2)
  })

  it('says that nothing is named in a file, and how far long work is', async () => {
    const path = file('none.yaml', 'a: 1\n')
    const { code, err, out } = await runCli(['pin', path], registry().context)
    assert.deepEqual([code, out], [0, 'a: 1\n'])
    assert.match(err, /no image is named there; --path says where else to look/)
    const slow = registry({ [NGINX]: ONE })
    const told = await runCli(['pin', file('pod.yaml', POD)], {
      ...slow.context,
      every: (_ms, run) => {
        run()
        return () => {}
      },
    })
    assert.match(told.err, /0 of 1 images are looked up \(1 s\)/)
  })

  it('refuses a file that is not there, not in UTF-8, or no lock file', async () => {
    const latin = join(folder, 'latin.yaml')
    writeFileSync(latin, Buffer.from([0x61, 0xe9]))
    const notThere = await runCli(['pin', join(folder, 'none.yaml')])
    const notText = await runCli(['pin', latin])
    const noLock = await runCli(['pin', file('a.yaml', POD), '--lock', file('l.yaml', 'a: b\n')])
    assert.deepEqual([notThere.code, notText.code, noLock.code], [2, 2, 2])
    assert.match(notThere.err, /none\.yaml is not there/)
    assert.match(notText.err, /latin\.yaml is not written in UTF-8/)
    assert.match(noLock.err, /l\.yaml is no lock file/)
  })
})

describe('drift', () => {
  it('tells which pinned tags have moved, of files or of a lock file', async () => {
    const path = file('pod.yaml', `${PINNED}    - image: unpinned:1\n`)
    const lock = file('l.yaml', `version: 1\nimages:\n  ${NGINX}:\n    digest: ${ONE}\n`)
    for (const args of [[path], ['--lock', lock]]) {
      const { context } = registry({ [NGINX]: TWO })
      const { code, out } = await runCli(['drift', ...args], context)
      assert.equal(code, 1)
      assert.match(
        out,
        /^\S+: (docker\.io\/library\/)?nginx:1\.27@sha256:1+ has moved: it is sha256:2+ now, built 2026-01-02 03:04:05Z, this one built 2026-01-02 03:04:05Z\n$/,
      )
    }
    for (const [name, why] of [
      [join(folder, 'none.yaml'), 'is not there'],
      [folder, 'cannot be read: '],
    ] as const) {
      const { code, err } = await runCli(['drift', '--lock', name])
      assert.equal(code, 2)
      assert.ok(err.includes(`${name} ${why}`), err)
    }
    const still = await runCli(['drift', '--lock', lock], registry({ [NGINX]: ONE }).context)
    assert.deepEqual([still.code, still.out], [0, ''])
  })
})
