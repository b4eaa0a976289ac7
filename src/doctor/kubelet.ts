import { isSameSocket } from '../config/values.ts'
import { parseYaml } from '../config/yaml.ts'
import { type Kubelet, pathOf, RANCHER_SOCKET } from '../install/kubelet.ts'
import { fieldOf, scalarOf } from '../yaml/node.ts'
import { CONTAINERD_SOCKET, type Found, SEALOS_SOCKET, type Subject } from './subject.ts'

/** kubelet's endpoints against the sockets of the service and of the runtime. */
export function kubeletEndpoints(subject: Subject): readonly Found[] {
  const { configFile, kubelet, loaded } = subject
  if (kubelet === undefined || loaded === undefined || configFile === undefined) return []
  const { mirror, shim } = loaded.config
  const { distribution, images, runtime, wrapper } = kubelet
  const standard = distribution === 'kubelet' ? CONTAINERD_SOCKET : RANCHER_SOCKET
  const runtimePath = runtime === undefined ? standard : pathOf(runtime.value)
  const imagePath = images === undefined ? runtimePath : pathOf(images.value)
  const place = (images ?? runtime)?.file
  if (!isSameSocket(imagePath, shim)) {
    // Without the shim, its /v2/ may be what containerd pulls through.
    if (mirror.enabled) return []
    const named = isSameSocket(imagePath, runtimePath) ? "the runtime's own socket" : 'another one'
    return [
      {
        severity: 'error',
        ...(place !== undefined && { file: place, ...lineWith(subject, place, imagePath) }),
        problem: `kubelet asks for images at ${imagePath}, ${named}, and not at ${shim}`,
        consequence: 'its pulls pass this service by: no configured registry is used',
        mend: `set imageServiceEndpoint (--image-service-endpoint) to unix://${shim}, and restart ${kubelet.unit}`,
      },
      ...behindWrapper(wrapper),
    ]
  }
  const own = loaded.config.cri
  if (own === undefined || isSameSocket(runtimePath, shim) || isSameSocket(runtimePath, own)) {
    return behindWrapper(wrapper)
  }
  return [
    {
      severity: 'error',
      file: configFile,
      ...lineWith(subject, configFile, own),
      problem: `kubelet runs containers at ${runtimePath}, and this service pulls into ${own}`,
      consequence:
        'what is pulled is not where pods start: each pod fails with the image not found',
      mend: `set cri: ${runtimePath}, and restart image-resolver`,
    },
  ]
}

function behindWrapper(wrapper: Kubelet['wrapper']): readonly Found[] {
  if (wrapper === undefined) return []
  const { file, line, program } = wrapper
  return [
    {
      severity: 'warning',
      file,
      line,
      problem: `the unit of kubelet starts ${program}`,
      consequence: 'a flag for an endpoint that it sets counts, and is not seen here',
      mend: 'look for --image-service-endpoint and --container-runtime-endpoint in it, and take them out; see that it hands its arguments on (exec kubelet "$@")',
    },
  ]
}

/** A flag counts, and hides what a file says. */
export async function hiddenField(subject: Subject): Promise<readonly Found[]> {
  const { kubelet, machine } = subject
  if (kubelet === undefined) return []
  const file = '/var/lib/kubelet/config.yaml'
  const root = parseYaml((await machine.files.read(file).catch(() => '')) ?? '').root
  const names = [
    ['images', 'imageServiceEndpoint'],
    ['runtime', 'containerRuntimeEndpoint'],
  ] as const
  return names.flatMap(([name, field]): readonly Found[] => {
    const setting = kubelet[name]
    const entry = root?.kind === 'map' ? root.fields.get(field) : undefined
    const value = scalarOf(entry?.value)
    if (setting?.kind !== 'flag' || entry === undefined || !value) return []
    const [flag, written] = [pathOf(setting.value), pathOf(value)]
    if (isSameSocket(flag, written)) return []
    return [
      {
        severity: 'warning',
        file,
        line: entry.line,
        problem: `${field} is ${written}, and a flag in ${setting.file} says ${flag}`,
        consequence: 'kubelet goes by the flag',
        mend: `take one of them out, and restart ${kubelet.unit}`,
      },
    ]
  })
}

/** Sockets that kubelet, or this service, is to use, and where nothing listens. */
export async function sockets(subject: Subject): Promise<readonly Found[]> {
  const { kubelet, loaded, machine, runtime } = subject
  const wanted = new Map<string, { by: string; file?: string }>()
  const add = (path: string, by: string, file?: string): void => {
    if (![...wanted.keys()].some((each) => isSameSocket(each, path))) {
      wanted.set(path, { by, ...(file !== undefined && { file }) })
    }
  }
  for (const setting of [kubelet?.images, kubelet?.runtime]) {
    if (setting !== undefined) add(pathOf(setting.value), 'kubelet', setting.file)
  }
  if (runtime !== undefined && loaded?.config.criExpected)
    add(runtime.socket, 'image-resolver', subject.configFile)
  if (loaded !== undefined) add(loaded.config.shim, 'image-resolver')
  // In the tree of an image nothing runs.
  const isLive = machine.root.exists('/proc/1')
  const found = await Promise.all(
    [...wanted].map(async ([path, { by, file }]): Promise<readonly Found[]> => {
      const state = await machine.socket(path)
      const isOurs = loaded !== undefined && isSameSocket(path, loaded.config.shim)
      if (state === 'stale') return [stale(path, isOurs)]
      if (state !== 'absent' || !isLive || (isOurs && by !== 'kubelet')) return []
      return [
        {
          severity: 'error',
          ...(file !== undefined && { file, ...lineWith(subject, file, path) }),
          problem: `${by} is to use ${path}, and there is no such socket`,
          consequence:
            by === 'kubelet' ? 'every call of kubelet there fails' : 'the CRI socket does not open',
          mend: isOurs
            ? 'systemctl start image-resolver; `journalctl -u image-resolver` says why it did not'
            : 'start what serves it, or name the socket that is served',
        },
      ]
    }),
  )
  return found.flat()
}

function stale(path: string, isOurs: boolean): Found {
  return {
    severity: 'error',
    file: path,
    problem: 'the file of the socket is there, and nothing listens at it',
    consequence: 'every connection to it is refused',
    mend: isOurs
      ? 'systemctl start image-resolver: it replaces the file'
      : 'start the runtime that serves it',
  }
}

const SEALOS_UNIT = 'image-cri-shim.service'

/** sealos' image-cri-shim, which this service takes the place of. */
export async function otherShim({ loaded, machine }: Subject): Promise<readonly Found[]> {
  const found: Found[] = []
  const running = (await machine.processes()).find(({ name }) => name === 'image-cri-shim')
  const isSame = loaded === undefined || isSameSocket(loaded.config.shim, SEALOS_SOCKET)
  if (running !== undefined) {
    found.push({
      severity: isSame ? 'error' : 'warning',
      problem: `image-cri-shim runs (process ${running.pid})`,
      consequence: isSame
        ? `it serves ${SEALOS_SOCKET}: this service cannot, and kubelet's pulls go through that shim`
        : 'a kubelet that is configured for it passes this service by',
      mend: 'systemctl disable --now image-cri-shim, then systemctl restart image-resolver',
    })
  }
  const link = `/etc/systemd/system/multi-user.target.wants/${SEALOS_UNIT}`
  if (isSame && running === undefined && machine.root.exists(link)) {
    found.push({
      severity: 'warning',
      file: link,
      problem: 'image-cri-shim is enabled',
      consequence: `at the next boot it may take ${SEALOS_SOCKET} before this service`,
      mend: 'systemctl disable image-cri-shim',
    })
  }
  return found
}

/** Two shims, each of which takes the other one for the runtime; or one behind the other. */
export async function shimLoop(subject: Subject): Promise<readonly Found[]> {
  const { configFile, loaded, machine } = subject
  const file = '/etc/image-cri-shim.yaml'
  const cri = loaded?.config.cri
  if (loaded === undefined || cri === undefined || configFile === undefined || configFile === file)
    return []
  const text = await machine.files.read(file).catch(() => undefined)
  if (text === undefined) return []
  const root = parseYaml(text).root
  const field = (name: string): string | undefined => {
    const path = scalarOf(fieldOf(root, name))
    return path ? pathOf(path) : undefined
  }
  if (!isSameSocket(cri, field('shim') ?? SEALOS_SOCKET)) return []
  const isLoop = isSameSocket(field('cri') ?? CONTAINERD_SOCKET, loaded.config.shim)
  return [
    {
      severity: isLoop ? 'error' : 'warning',
      file: configFile,
      ...lineWith(subject, configFile, cri),
      problem: isLoop
        ? `cri: is image-cri-shim's socket, and that one's cri: (${file}) is ours`
        : `cri: is image-cri-shim's socket (${file})`,
      consequence: isLoop
        ? 'each call goes round between the two, and no runtime is asked'
        : 'images are resolved twice, and names given by two programs',
      mend: 'set cri: to the socket of the runtime itself, and disable image-cri-shim',
    },
  ]
}

/** The line of a file of the machine that has this in it. */
export function lineWith(
  { machine }: Pick<Subject, 'machine'>,
  file: string,
  text: string,
): { readonly line?: number } {
  const lines = textOrNothing(machine.root, file).split('\n')
  const index = lines.findIndex((line) => line.includes(text) && !line.trimStart().startsWith('#'))
  return index < 0 ? {} : { line: index + 1 }
}

/** @returns empty, too, for a file that is not there or cannot be read */
export function textOrNothing(root: Subject['machine']['root'], file: string): string {
  try {
    return root.text(file) ?? ''
  } catch {
    return ''
  }
}
