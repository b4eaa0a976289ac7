import type { Environment } from '../config/config.ts'
import type { ConfigPlace } from '../config/load.ts'
import * as containerd from './containerd.ts'
import * as crio from './crio.ts'
import * as fleet from './fleet.ts'
import * as hosts from './hosts-toml.ts'
import * as kubelet from './kubelet.ts'
import { machineAt } from './machine.ts'
import { Network } from './network.ts'
import { pauseImage } from './pause-image.ts'
import * as registries from './registries.ts'
import * as service from './service.ts'
import { type Finding, type Found, readSubject, reasonOf, type Subject } from './subject.ts'

interface Check {
  readonly area: string
  /** It asks registries, or the service by HTTP. */
  readonly asks?: true
  run(subject: Subject, network: Network): readonly Found[] | Promise<readonly Found[]>
}

/** By name, in the order of the report; docs/doctor.md explains each. */
export const CHECKS: Readonly<Record<string, Check>> = {
  configuration: { area: 'image-resolver', run: service.configuration },
  'named-files': { area: 'image-resolver', run: service.namedFiles },
  'certificate-files': { area: 'image-resolver', run: service.certificateFiles },
  'state-folder': { area: 'image-resolver', run: service.stateFolder },
  descriptors: { area: 'image-resolver', run: service.descriptors },
  'memory-limit': { area: 'image-resolver', run: service.memoryLimit },
  'version-skew': { area: 'image-resolver', asks: true, run: service.versionSkew },
  'cri-version': { area: 'image-resolver', run: containerd.criVersion },
  'kubelet-endpoints': { area: 'kubelet', run: kubelet.kubeletEndpoints },
  'kubelet-hidden-field': { area: 'kubelet', run: kubelet.hiddenField },
  sockets: { area: 'sockets', run: kubelet.sockets },
  'other-shim': { area: 'sockets', run: kubelet.otherShim },
  'shim-loop': { area: 'sockets', run: kubelet.shimLoop },
  'containerd-files': { area: 'containerd', run: containerd.configFiles },
  'containerd-cri-disabled': { area: 'containerd', run: containerd.criDisabled },
  'containerd-version': { area: 'containerd', run: containerd.configVersion },
  'containerd-config-path': { area: 'containerd', run: containerd.configPath },
  'containerd-mirrors': { area: 'containerd', run: containerd.mirrorsBeside },
  'containerd-imports': { area: 'containerd', run: containerd.importReplaces },
  'containerd-cgroups': { area: 'containerd', run: containerd.cgroupDriver },
  'hosts-toml': { area: 'containerd', run: hosts.hostsFiles },
  'runtime-authority': { area: 'containerd', run: hosts.runtimeAuthority },
  'crio-registries': { area: 'CRI-O', run: crio.registriesConf },
  'crio-insecure': { area: 'CRI-O', run: crio.crioInsecure },
  'plain-http': { area: 'runtime', run: hosts.plainHttp },
  'pause-image': { area: 'runtime', run: pauseImage },
  'image-disk': { area: 'runtime', run: service.imageDisk },
  proxies: { area: 'network', run: registries.proxies },
  'registry-name': { area: 'registries', asks: true, run: registries.names },
  'registry-certificate': { area: 'registries', asks: true, run: registries.certificates },
  'registry-unreachable': { area: 'registries', asks: true, run: registries.reachable },
  'registry-credentials': { area: 'registries', asks: true, run: registries.credentials },
  clock: { area: 'registries', asks: true, run: registries.clock },
  'shared-store-key': { area: 'fleet', run: fleet.storeKey },
  'shared-store': { area: 'fleet', asks: true, run: fleet.sharedStore },
  resolvers: { area: 'fleet', asks: true, run: fleet.resolvers },
}

export interface ExamineOptions extends ConfigPlace {
  /** The machine's files; another folder than `/`: those of a tree, and no registry is asked. */
  readonly root: string
  readonly offline: boolean
  readonly environment?: Environment
  readonly now?: () => number
}

export interface Examination {
  readonly findings: readonly Finding[]
  /** Names of the checks that were made. */
  readonly checked: readonly string[]
  /** What could not be looked at, one line each. */
  readonly skipped: readonly string[]
}

/** k3s and rke2 write these at each start. */
const RANCHER_FILE = /^\/var\/lib\/rancher\/(k3s|rke2)\/agent\/etc\/containerd\//

/** Looks at this machine for what stands in the way. Never rejects for what it finds. */
export async function examine(options: ExamineOptions): Promise<Examination> {
  const machine = machineAt(options.root)
  const subject = await readSubject({
    machine,
    file: options.file,
    portoshim: options.portoshim,
    offline: options.offline || !machine.root.isThisMachine,
    environment: options.environment ?? process.env,
    now: options.now ?? Date.now,
  })
  const asked = new Network(subject)
  const findings: Finding[] = []
  const checked: string[] = []
  const skipped: string[] = []
  for (const [name, { area, asks, run }] of Object.entries(CHECKS)) {
    if (asks && (subject.offline || subject.loaded === undefined)) continue
    try {
      const found = await run(subject, asked)
      // Of a file that this user may not read nothing is known.
      const known = found.filter(({ file }) => !machine.unseen.get(file ?? '')?.isDenied)
      findings.push(...known.map((each) => findingOf(name, area, each)))
      checked.push(name)
    } catch (thrown) {
      if (!machine.isNoted(thrown)) skipped.push(`${name}: ${reasonOf(thrown)}`)
    }
  }
  const unseen = [...machine.unseen].map(([path, { why }]) => `${path}: ${why}`)
  skipped.unshift(...unseen, ...subject.unread)
  if (subject.offline) skipped.push('registries: not asked, since --offline or --root was given')
  return { findings, checked, skipped }
}

function findingOf(check: string, area: string, { file, line, mend, ...found }: Found): Finding {
  const [, rancher] = RANCHER_FILE.exec(file ?? '') ?? []
  const how =
    rancher === undefined
      ? mend
      : `${mend} (${rancher} writes this file at each start: change /etc/rancher/${rancher}/registries.yaml or its config.toml.tmpl)`
  return { check, area, ...found, file: file ?? null, line: line ?? null, mend: how }
}
