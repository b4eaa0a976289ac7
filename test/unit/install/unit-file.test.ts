import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { leadKubelet } from '../../../src/install/kubelet-edits.ts'
import { readServiceUnit } from '../../../src/install/unit-file.ts'
import { readEnvironment } from '../../../src/install/unit-syntax.ts'
import { KUBEADM_FILES, packagedNode } from '../../support/packaged-node.ts'
import { skipLacking, temporaryFolder } from '../../support/stack.ts'

const EXTRA = '/etc/default/kubelet'
const FLAG = '--image-service-endpoint=unix:///run/s.sock'
/** systemd's own reader of such files: it prints what it has read. */
const READER = '/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator'
/** It shows a unit with its drop-ins as systemd reads them. */
const ANALYZE = '/usr/bin/systemd-analyze'

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

const KUBELET_UNIT = '/etc/systemd/system/kubelet.service'

for (const [what, unit, file] of [
  ['%E in --config', 'ExecStart=/k --config=%E/kubernetes/k.yaml', '/etc/kubernetes/k.yaml'],
  ['%S as a word of its own', 'ExecStart=/k --config %S/%p/k.yaml', '/var/lib/kubelet/k.yaml'],
  ['%h in a variable', 'Environment="A=--config=%h/k.yaml"\nExecStart=/k $A', '/root/k.yaml'],
  [
    '%t in the folder of drop-ins',
    'ExecStart=/k --hostname-override=%H --config-dir=%t/k.d',
    '/run/k.d/20-image-resolver.conf',
  ],
  [
    '%N in the file of an environment',
    'EnvironmentFile=-/etc/%N/%n/kubelet\nExecStart=/bin/kubelet $KUBELET_EXTRA_ARGS',
    '/etc/kubelet/kubelet.service/kubelet',
  ],
  [
    'a folder to work in and a relative --config',
    'WorkingDirectory=/var/lib/kubelet\nExecStart=/k --config=c.yaml',
    '/var/lib/kubelet/c.yaml',
  ],
  [
    'several folders to work in and a relative --config-dir',
    'WorkingDirectory=/a\nWorkingDirectory=%S/b\nExecStart=/k --config-dir ../c.d',
    '/var/lib/c.d/20-image-resolver.conf',
  ],
  ['none and a relative --config', 'ExecStart=/k --config=./c.yaml', '/c.yaml'],
  ['~ to work in', 'WorkingDirectory=~\nExecStart=/k --config=c.yaml', '/root/c.yaml'],
  [
    'a folder to work in that may lack, and does',
    'WorkingDirectory=-/var/lib/kubelet\nExecStart=/k --config=c.yaml',
    '/c.yaml',
  ],
] as const) {
  test(`a path of a unit with ${what} is that of systemd`, (t) => {
    const { root } = packagedNode(temporaryFolder(t), { [KUBELET_UNIT]: `[Service]\n${unit}\n` })

    const files = leadKubelet(root, 'images', '/run/s.sock')

    assert.deepEqual(
      files.map(({ path }) => path),
      [file],
    )
  })
}

test('a unit is copied into a drop-in with its specifiers, and quoted semicolons divide no commands', (t) => {
  const command = `ExecStart=/usr/bin/kubelet --hostname-override=%H ";" 'a ; b' --v=%%`
  const { root } = packagedNode(temporaryFolder(t), {
    [KUBELET_UNIT]: `[Service]\n${command}\n`,
  })

  const [file] = leadKubelet(root, 'images', '/run/s.sock')

  assert.match(file?.path ?? '', /20-image-resolver\.conf$/)
  assert.ok(file?.text?.includes(`\n${command} ${FLAG}\n`), file?.text)
})

for (const [what, unit, message] of [
  ['a specifier of the machine in --config', 'ExecStart=/k --config=/etc/%H.yaml', /3: \/etc\/%H/],
  ['one in an endpoint', `ExecStart=/k ${FLAG}.%m`, /3: unix:\/\/\/run\/s\.sock\.%m is not known/],
  [
    'one in the file of an environment',
    'ExecStart=/k\nEnvironmentFile=/etc/%H.env',
    /4: \/etc\/%H/,
  ],
  ['a pattern there', 'ExecStart=/k\nEnvironmentFile=/etc/kubelet/*.env', /4: .*; write it out/],
  [
    'a folder to work in that is not known',
    'WorkingDirectory=/srv/%H\nExecStart=/k --config=c.yaml',
    /3: \/srv\/%H is not known/,
  ],
  [
    'that of another user',
    'User=k\nWorkingDirectory=~\nExecStart=/k --config=c.yaml',
    /4: ~ is not known/,
  ],
  [
    'a root of its own',
    'RootDirectory=/srv/root\nExecStart=/k --config=/c.yaml',
    /3: .* root of its own, \/srv\/root, .*; set --image-service-endpoint and --container-runtime-endpoint in its ExecStart=/,
  ],
  ['an image as its root', 'ExecStart=/k\nRootImage=/r.raw', /4: .* root of its own, \/r\.raw,/],
  [
    'the word -- at the end of its command',
    'ExecStart=/usr/bin/kubelet --v=2 --',
    /3: kubelet takes no flag behind the word --; add --image-service-endpoint=\S+ in front of it/,
  ],
  [
    'a flag behind the word --',
    `ExecStart=/usr/bin/kubelet -- ${FLAG}`,
    /3: kubelet takes no flag behind the word --;/,
  ],
  [
    'a variable that ends in the word --',
    'Environment="A=--v=2 --"\nExecStart=/usr/bin/kubelet $A',
    /3: kubelet takes no flag behind the word --;/,
  ],
  ['two commands in one line', 'ExecStart=/bin/true ; /k --v=2', /3: several .* ExecStart= in kub/],
  ['two commands in two lines', 'ExecStart=/bin/true\nExecStart=/k', /4: several commands/],
] as const) {
  test(`a unit with ${what} is refused with its line, and what to do by hand`, (t) => {
    const { root } = packagedNode(temporaryFolder(t), {
      [KUBELET_UNIT]: `# kubelet\n[Service]\n${unit}\n`,
    })

    assert.throws(() => leadKubelet(root, 'images', '/run/s.sock'), {
      code: 'CONFIG_INVALID',
      message: new RegExp(`^${KUBELET_UNIT}:${message.source}.* by hand$`),
    })
  })
}

test('a kubelet with a root of its own is led by its flags, where both of them are there', (t) => {
  const flags = `--container-runtime-endpoint=unix:///run/c.sock ${FLAG}`
  const { root } = packagedNode(temporaryFolder(t), {
    [KUBELET_UNIT]: `[Service]\nRootDirectory=/srv/root\nExecStart=/k --config=/c.yaml ${flags}\n`,
  })

  assert.deepEqual(leadKubelet(root, 'images', '/run/s.sock'), [])
  assert.equal(leadKubelet(root, 'all', '/run/s.sock')[0]?.path, KUBELET_UNIT)
})

test('drop-ins are read as systemd reads them, those of generators, prefixes and of all services among them', (t) => {
  const [etc, generator, lib] = [
    '/etc/systemd/system',
    '/run/systemd/generator',
    '/usr/lib/systemd/system',
  ]
  const files = [
    `${lib}/rke2-agent.service`,
    `${etc}/service.d/10-a.conf`,
    `${lib}/rke2-.service.d/10-a.conf`,
    `${etc}/rke2-.service.d/20-b.conf`,
    `${lib}/rke2-agent.service.d/20-b.conf`,
    `${generator}/rke2-agent.service.d/30-c.conf`,
    `${lib}/rke2-agent.service.d/30-c.conf`,
    `${etc}/rke2-agent.service.d/40-d.conf`,
    `${etc}/rke2-.service.d/40-d.conf`,
    `${etc}/service.d/90-e.conf`,
    `${lib}/service.d/90-e.conf`,
  ]
  const texts = files.map((path) => {
    const name = path.replace(/.*(.)\.(?:conf|service)$/, '$1')
    const start = path.endsWith('.service') ? 'ExecStart=/bin/true\n' : ''
    return [path, `[Service]\n${start}Environment=${name}=${path} LAST=${path}\n`] as const
  })
  const { root } = packagedNode(temporaryFolder(t), Object.fromEntries(texts))

  const { environment } = readServiceUnit(root, 'rke2-agent.service') ?? {}

  const read = [...(environment ?? [])].map(([name, { value }]) => `${name}=${value.text}`)
  assert.deepEqual(read.sort(), [
    `LAST=${files[9]}`,
    `a=${files[2]}`,
    `b=${files[3]}`,
    `c=${files[5]}`,
    `d=${files[7]}`,
    `e=${files[9]}`,
    `t=${files[0]}`,
  ])
  if (!existsSync(ANALYZE)) return skipLacking(t, 'there is no systemd')
  const folders = [etc, generator, lib].map((folder) => root.outside(folder)).join(':')
  const env = { SYSTEMD_UNIT_PATH: folders, SYSTEMD_LOG_LEVEL: 'debug', PATH: '/nowhere' }
  // It says that other units lack, and shows what it has read of this one before.
  const args = ['verify', 'rke2-agent.service']
  const { stderr, stdout } = spawnSync(ANALYZE, args, { env, encoding: 'utf8' })
  const shown = `${stdout}${stderr}`.matchAll(/^\s*Environment: (.*)$/gm)
  assert.deepEqual([...shown].map(([, each]) => each).sort(), read)
})

test('a unit that is masked starts nothing, whatever its drop-ins say', (t) => {
  const { root } = packagedNode(temporaryFolder(t), {
    [KUBELET_UNIT]: '',
    [`${KUBELET_UNIT}.d/a.conf`]: '[Service]\nExecStart=/k\n',
  })

  assert.equal(readServiceUnit(root, 'kubelet.service'), undefined)
})

test('a flag with a specifier in its value is named, and not edited', (t) => {
  const { root } = packagedNode(temporaryFolder(t), {
    [KUBELET_UNIT]: '[Service]\nExecStart=/k --image-service-endpoint=unix://%t/x.sock\n',
  })

  assert.throws(
    () => leadKubelet(root, 'images', '/run/s.sock'),
    /service:2: --image-service-endpoint unix:\/\/\/run\/x\.sock is written in a way .* by hand$/,
  )
})

test('k3s is led by the file that its environment names by a specifier', (t) => {
  const { root } = packagedNode(temporaryFolder(t), {
    '/etc/systemd/system/k3s.service':
      '[Service]\nEnvironmentFile=-/etc/default/%N\nExecStart=/usr/local/bin/k3s server\n',
    '/etc/default/k3s': 'K3S_CONFIG_FILE=/srv/k3s.yaml\n',
  })

  const [file] = leadKubelet(root, 'images', '/run/s.sock')

  assert.equal(file?.path, '/srv/k3s.yaml.d/99-image-resolver.yaml')
})
