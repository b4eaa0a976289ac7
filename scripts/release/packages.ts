import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { runProgram } from '../../test/support/program.ts'
import type { Architecture } from './node-binary.ts'
import {
  evenModes,
  type Product,
  unit,
  write,
  writeFolder,
  writeProgram,
  writeShare,
  writeTexts,
  ZSH,
} from './tree.ts'

const NAME = 'image-resolver'
const LIB = `usr/lib/${NAME}`
const DOC = `usr/share/doc/${NAME}`
const CONFIG = 'etc/image-resolver.yaml'
const UNITS = ['image-resolver.service', 'image-resolver.socket']
const SUMMARY = 'Resolves container images to digests and mirrors, for kubelet and people'
const ABOUT = `A CRI shim between kubelet and the container runtime, an HTTP API and a command
line: which image is a reference, exactly, and where can it be pulled from?`
/** Node's own floor: https://github.com/nodejs/node/blob/v24.x/BUILDING.md */
const GLIBC = '2.28'
const MAINTAINER = 'image-resolver contributors <noreply@image-resolver.invalid>'

const HINT = `image-resolver is installed, and not started. Next:
  image-resolver config check
  systemctl enable --now image-resolver`
const RELOAD =
  'if [ -d /run/systemd/system ] && [ -z "$DPKG_ROOT" ]; then systemctl daemon-reload; fi'
const RESTART =
  'if [ -d /run/systemd/system ] && [ -z "$DPKG_ROOT" ]; then systemctl try-restart image-resolver.service; fi'
const DISABLE = `if [ -d /run/systemd/system ] && [ -z "$DPKG_ROOT" ]; then
  systemctl disable --now ${UNITS.join(' ')} || true
fi`
/** Fails, and with it the removal, where kubelet would be left with the socket of a service that is gone. */
const UNINSTALL = `"$DPKG_ROOT/usr/bin/${NAME}" uninstall --root "\${DPKG_ROOT:-/}" || exit`
/** What the service wrote itself. */
const STATE = '/var/lib/image-resolver /var/cache/image-resolver'

/** Debian has the licence on every machine, and wants it named. */
const COPYRIGHT = `Copyright 2026 the image-resolver contributors

License: Apache-2.0
 On Debian systems, the text of this licence is in
 /usr/share/common-licenses/Apache-2.0. That of Node.js is in LICENSE.node, and
 those of the packages of npm in LICENSES.bundled, both beside this file.
`
/** What lintian finds and is meant so. */
const OVERRIDES = `# Node.js is as nodejs.org has built it: with its own zlib, symbols for its stack traces, at a fixed address.
${NAME}: unstripped-binary-or-object
${NAME}: hardening-no-pie
${NAME}: embedded-library
# The package starts nothing by itself, and has no init script: systemctl is called where systemd runs alone.
${NAME}: maintainer-script-calls-systemctl
`

function changelog(version: string, epoch: number): string {
  const time = new Date(epoch * 1_000).toUTCString().replace('GMT', '+0000')
  const entry = '  * What has changed is in CHANGELOG.md, beside this file.'
  return `${NAME} (${version}) unstable; urgency=medium\n\n${entry}\n\n -- ${MAINTAINER}  ${time}\n`
}

/** How hard packages are compressed: a test has no minute for it. */
export type Effort = 'quick' | 'small'

export interface PackageOptions extends Product {
  readonly architecture: Architecture
  readonly effort: Effort
  /** Where the file is written. */
  readonly out: string
}

/** @returns the file, which runs from any folder that it is unpacked to */
export function buildTarball(options: PackageOptions): Promise<string> {
  const { architecture, effort, epoch, out, version } = options
  return inTemporaryFolder(async (folder) => {
    const name = `${NAME}-${version}-linux-${architecture}`
    const tree = join(folder, name)
    writeFolder(options, tree)
    const file = join(out, `${name}.tar.gz`)
    const command = `set -e; cd "$2"; ${tarCommand(epoch)} -cf - "$1" | ${gzipCommand(effort)} >"$3"`
    await runProgram('sh', ['-c', command, 'sh', name, folder, file])
    return file
  })
}

/** @returns the file */
export function buildDeb(options: PackageOptions): Promise<string> {
  const { architecture, effort, epoch, out, version } = options
  const debArchitecture = architecture === 'x64' ? 'amd64' : architecture
  const debVersion = version.replace('-', '~')
  return inTemporaryFolder(async (folder) => {
    const tree = join(folder, 'tree')
    writeNode(options, tree, ZSH.deb)
    rmSync(join(tree, DOC, 'LICENSE'))
    write(join(tree, DOC, 'copyright'), COPYRIGHT)
    write(join(tree, DOC, 'changelog.gz'), gzipSync(changelog(debVersion, epoch), { level: 9 }))
    write(join(tree, 'usr/share/lintian/overrides', NAME), OVERRIDES)
    const script = (name: string, body: string) =>
      write(join(tree, 'DEBIAN', name), `#!/bin/sh\nset -e\n${body}\n`, 0o755)
    write(
      join(tree, 'DEBIAN/control'),
      `Package: ${NAME}
Version: ${debVersion}
Architecture: ${debArchitecture}
Maintainer: ${MAINTAINER}
Depends: libc6 (>= ${GLIBC}), libstdc++6 (>= 8)
Section: admin
Priority: optional
Description: ${SUMMARY}
${ABOUT.replace(/^/gm, ' ')}
`,
    )
    write(join(tree, 'DEBIAN/conffiles'), `/${CONFIG}\n`)
    script(
      'postinst',
      `if [ "$1" = configure ]; then
  ${RELOAD}
  if [ -z "\${2-}" ]; then
    cat <<'END'
${HINT}
END
  else
    ${RESTART}
  fi
fi`,
    )
    script('prerm', `if [ "$1" = remove ]; then\n${UNINSTALL}\n${DISABLE}\nfi`)
    script(
      'postrm',
      `${RELOAD}
if [ "$1" = purge ]; then
  for folder in ${STATE}; do rm -rf "$DPKG_ROOT$folder"; done
fi`,
    )
    evenModes(tree)
    const file = join(out, `${NAME}_${debVersion}_${debArchitecture}.deb`)
    const compression = effort === 'quick' ? ['-Zgzip', '-z1'] : ['-Zxz', '-z6', '--threads-max=1']
    await runProgram('dpkg-deb', ['--root-owner-group', ...compression, '--build', tree, file], {
      SOURCE_DATE_EPOCH: String(epoch),
    })
    return file
  })
}

/** @returns the file; rpmbuild packs for other processors too */
export function buildRpm(options: PackageOptions): Promise<string> {
  const { architecture, effort, epoch, out, version } = options
  const rpmArchitecture = architecture === 'x64' ? 'x86_64' : 'aarch64'
  const rpmVersion = version.replace('-', '~')
  return inTemporaryFolder(async (folder) => {
    const tree = join(folder, 'tree')
    writeNode(options, tree, ZSH.rpm)
    const spec = join(folder, `${NAME}.spec`)
    write(
      spec,
      `Name: ${NAME}
Version: ${rpmVersion}
Release: 1
Summary: ${SUMMARY}
License: Apache-2.0
Packager: ${MAINTAINER}
AutoReqProv: no
Requires: glibc >= ${GLIBC}, libstdc++ >= 8
%description
${ABOUT}
%install
cp -a ${tree}/. %{buildroot}/
%files
/${LIB}
/usr/bin/${NAME}
${UNITS.map((name) => `/usr/lib/systemd/system/${name}`).join('\n')}
%doc /${DOC}
/usr/share/bash-completion/completions/${NAME}
/usr/share/${ZSH.rpm}/_${NAME}
/usr/share/fish/vendor_completions.d/${NAME}.fish
/usr/share/man/man1/${NAME}.1.gz
%config(noreplace) /${CONFIG}
%post
${RELOAD}
if [ "$1" = 1 ]; then
cat <<'END'
${HINT}
END
else
${RESTART}
fi
%preun
if [ "$1" = 0 ]; then
${UNINSTALL}
${DISABLE}
fi
%postun
${RELOAD}
if [ "$1" = 0 ]; then rm -rf ${STATE}; fi
`,
    )
    const defines = {
      _topdir: join(folder, 'rpm'),
      _rpmdir: out,
      _rpmfilename: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
      _buildhost: NAME,
      use_source_date_epoch_as_buildtime: 1,
      clamp_mtime_to_source_date_epoch: 1,
      // The binary stays as nodejs.org made it.
      __os_install_post: '%{nil}',
      debug_package: '%{nil}',
      _build_id_links: 'none',
      _binary_payload: effort === 'quick' ? 'w1.gzdio' : 'w6.xzdio',
    }
    const args = Object.entries(defines).flatMap(([key, value]) => ['--define', `${key} ${value}`])
    await runProgram(
      'rpmbuild',
      ['-bb', '--quiet', '--target', `${rpmArchitecture}-linux`, ...args, spec],
      { SOURCE_DATE_EPOCH: String(epoch) },
    )
    return join(out, `${NAME}-${rpmVersion}-1.${rpmArchitecture}.rpm`)
  })
}

/** The files of a node, below a folder. */
function writeNode(options: PackageOptions, tree: string, zsh: string): void {
  const { root } = options
  writeProgram(options, join(tree, LIB))
  writeTexts(options, join(tree, DOC))
  writeShare(options, join(tree, 'usr/share'), zsh)
  mkdirSync(join(tree, 'usr/bin'), { recursive: true })
  symlinkSync(`../lib/${NAME}/bin/${NAME}`, join(tree, 'usr/bin', NAME))
  for (const name of UNITS) write(join(tree, 'usr/lib/systemd/system', name), unit(root, name))
  mkdirSync(join(tree, 'etc'))
  cpSync(join(root, 'deploy/image-resolver.yaml'), join(tree, CONFIG))
  evenModes(tree)
}

/** @returns the chart as helm takes it, with the files that it has links to */
export function buildChart(
  options: Omit<PackageOptions, 'architecture' | 'node'>,
): Promise<string> {
  const { effort, epoch, out, root, version } = options
  return inTemporaryFolder(async (folder) => {
    const chart = join(folder, NAME)
    await runProgram('cp', ['-r', join(root, 'deploy/helm', NAME), chart])
    evenModes(chart)
    const file = join(out, `${NAME}-chart-${version}.tgz`)
    const command = `set -e; cd "$1"; ${tarCommand(epoch)} -cf - ${NAME} | ${gzipCommand(effort)} >"$2"`
    await runProgram('sh', ['-c', command, 'sh', folder, file])
    return file
  })
}

/** Of files that are the same bytes wherever and whenever they are packed. */
export function tarCommand(epoch: number): string {
  return `tar --format=ustar --sort=name --mtime=@${epoch} --owner=0 --group=0 --numeric-owner`
}

export function gzipCommand(effort: Effort): string {
  return `gzip -n -${effort === 'quick' ? 1 : 9}`
}

export async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), `${NAME}-package-`))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
