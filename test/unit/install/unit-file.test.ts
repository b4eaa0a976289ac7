import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { leadKubelet } from '../../../src/install/kubelet-edits.ts'
import { readEnvironment, readServiceUnit } from '../../../src/install/unit-file.ts'
import { KUBEADM_FILES, packagedNode } from '../../support/packaged-node.ts'
import { skipLacking, temporaryFolder } from '../../support/stack.ts'

const EXTRA = '/etc/default/kubelet'
const FLAG = '--image-service-endpoint=unix:///run/s.sock'
/** systemd's own reader of such files: it prints what it has read. */
const READER = '/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator'

function valuesIn(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...readEnvironment(text, '/f')].map(([name, { value }]) => [name, value.text]),
  )
}

for (const [text, value] of [
  ['A=a b  \n', 'a b'],
  ['  A = a\n', 'a'],
  ['A="a  b" \n', 'a  b'],
  ['A="a"\'b\' c\n', 'abc'],
  ['A=a"b c"\n', 'a"b c"'],
  ['A="a\\"\\\\\\x"\n', 'a"\\\\x'],
  ['A=a\\ b\\\n  c\n', 'a b  c'],
  ['A="a\\\nb\nc"\n', 'ab\nc'],
  ["A='a\\\nb'\n", 'a\\\nb'],
  ['# A=x\n;A=y\nA=1\nA=2', '2'],
  ['A=\n', ''],
  ['A="open\n', 'open\n'],
] as const) {
  test(`the environment ${JSON.stringify(text)} has ${JSON.stringify(value)}`, () => {
    assert.deepEqual(valuesIn(text), { A: value })
  })
}

const environments = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'A=',
        'B=',
        'KUBELET_EXTRA_ARGS=',
        '\n',
        ' ',
        '"',
        "'",
        '\\\n',
        '\\',
        '#',
        ';',
      ),
      fc.constantFrom(
        '--v=2',
        '--node-ip=10.0.0.7',
        'x y',
        '\\"',
        '\nA=',
        '\n# c\n',
        '\t',
        '"a b"',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''))
  // Before systemd 254 a comment went on after a backslash, and since then it does not.
  .filter((text) => !/^\s*[#;].*\\$/m.test(text))

test('a file of an environment is read as systemd reads it', (t) => {
  if (!existsSync(READER)) return skipLacking(t, 'there is no systemd')
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'environment.d'))
  const file = join(folder, 'environment.d/x.conf')
  const env = { XDG_CONFIG_HOME: folder, PATH: '/nowhere', XDG_CONFIG_DIRS: '/nowhere' }
  fc.assert(
    fc.property(environments, (text) => {
      writeFileSync(file, `${text}\nEND=1\n`)
      const printed = execFileSync(READER, { env, encoding: 'utf8', stdio: 'pipe' })

      const read = [...printed.matchAll(/^(A|B|KUBELET_EXTRA_ARGS|END)=(.*)$/gm)].map(
        ([, name = '', value = '']) => [name, value.startsWith('"') ? JSON.parse(value) : value],
      )
      const own = Object.entries(valuesIn(`${text}\nEND=1\n`))
      // It leaves an empty one out, and the one before stays.
      const isFull = ([name]: readonly unknown[]) => own.some((each) => each[0] === name && each[1])
      assert.deepEqual(own.filter(isFull).sort(), read.filter(isFull).sort())
    }),
    { numRuns: 300 },
  )
})

test('an argument is added to whatever is in a file of an environment, and nothing else changes', (t) => {
  const node = packagedNode(temporaryFolder(t), KUBEADM_FILES)
  fc.assert(
    fc.property(environments, (text) => {
      node.write(EXTRA, text)
      const before = valuesIn(text)
      const words = argumentsIn(node)
      let edited: string
      try {
        edited =
          leadKubelet(node.root, 'images', '/run/s.sock').find(({ path }) => path === EXTRA)
            ?.text ?? ''
      } catch (thrown) {
        // A quote that is open takes the argument in.
        assert.match(String(thrown), /would not use/)
        return
      }
      node.write(EXTRA, edited)

      const { KUBELET_EXTRA_ARGS: _old, ...others } = before
      const { KUBELET_EXTRA_ARGS: value = '', ...after } = valuesIn(edited)
      assert.deepEqual(after, others)
      assert.ok(value.trimEnd().endsWith(FLAG), value)
      assert.deepEqual(argumentsIn(node), [...words, FLAG])
      const at = edited.lastIndexOf(FLAG)
      const without = edited.slice(0, at).replace(/ $/, '') + edited.slice(at + FLAG.length)
      const added = edited.slice(0, at).replace(/\n*KUBELET_EXTRA_ARGS=$/, '')
      assert.ok(
        without === text ||
          edited.slice(0, at) + edited.slice(at + FLAG.length) === text ||
          text.startsWith(added),
      )
    }),
    { numRuns: 300 },
  )
})

function argumentsIn({ root }: ReturnType<typeof packagedNode>): readonly string[] {
  return (readServiceUnit(root, 'kubelet.service')?.words ?? []).map(({ text }) => text)
}

for (const [what, unit] of [
  ['in double quotes', 'ExecStart=/k "--image-service-endpoint=unix:///a.sock" --v=2'],
  [
    'in single quotes after a continued line',
    "ExecStart=/k \\\n # c\n  '--image-service-endpoint=unix:///a.sock' \\\n --v=2",
  ],
  ['in quotes within a word', 'ExecStart=/k --image-service-endpoint="unix:///a.sock" --v=2'],
  ['as a word of its own', 'ExecStart=/k --image-service-endpoint \\\n  unix:///a.sock --v=2'],
  [
    'in a variable',
    'Environment="X=--v=2 --image-service-endpoint=unix:///a.sock"\nExecStart=/k $X',
  ],
  [
    'in a variable in a word',
    'Environment=X=unix:///a.sock\nExecStart=/k --image-service-endpoint=$'.concat('{X}'),
  ],
] as const) {
  test(`a flag of a unit that is ${what} is changed where it stands`, (t) => {
    const path = '/etc/systemd/system/kubelet.service'
    const text = `# --image-service-endpoint=unix:///a.sock\n[Service]\n${unit}\n[Install]\n`
    const { root } = packagedNode(temporaryFolder(t), { [path]: text })

    const files = leadKubelet(root, 'images', '/run/s.sock')

    const at = text.lastIndexOf('unix:///a.sock')
    const after = `${text.slice(0, at)}unix:///run/s.sock${text.slice(at + 'unix:///a.sock'.length)}`
    assert.deepEqual(files, [{ path, text: after }])
  })
}

for (const [what, unit] of [
  ['quotes', 'ExecStart=/k --image-service-endpoint=unix://"/a.sock"'],
  ['an escaped character', 'ExecStart=/k --image-service-endpoint=unix:///a\\\\.sock'],
  [
    'a variable',
    'Environment=X=a\nExecStart=/k --image-service-endpoint=unix:///$'.concat('{X}.sock'),
  ],
] as const) {
  test(`a flag of a unit with ${what} in its value is named, and not edited`, (t) => {
    const path = '/etc/systemd/system/kubelet.service'
    const { root } = packagedNode(temporaryFolder(t), { [path]: `[Service]\n${unit}\n` })

    assert.throws(() => leadKubelet(root, 'images', '/run/s.sock'), {
      code: 'CONFIG_INVALID',
      message:
        /^\/etc\/systemd\/system\/kubelet\.service:\d: --image-service-endpoint .* set it to unix:\/\/\/run\/s\.sock by hand$/,
    })
  })
}
