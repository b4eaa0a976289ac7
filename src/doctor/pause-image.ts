import { isText, lastWritten } from '../config/containerd-config.ts'
import { lineOf, tableAt } from '../config/toml.ts'
import { parseReference, type Reference } from '../reference/reference.ts'
import { openResolver } from '../service/open.ts'
import { V1_AND_2, V3 } from './containerd.ts'
import { crioFiles } from './crio.ts'
import type { Found, Subject } from './subject.ts'

interface Sandbox {
  readonly image: string
  readonly file: string
  readonly line?: number
  /** How it is written. */
  readonly key: string
}

const DEFAULT_SANDBOX = { old: 'registry.k8s.io/pause:3.8', new: 'registry.k8s.io/pause:3.10.2' }

/** The pause image, which the runtime pulls itself and by its own configuration: where is it? */
export async function pauseImage(subject: Subject): Promise<readonly Found[]> {
  const { configFile, loaded, machine } = subject
  const sandbox = await sandboxOf(subject)
  const registries = loaded?.config.registries ?? []
  if (sandbox === undefined || registries.length === 0) return []
  const reference = referenceOf(sandbox.image)
  // Of a configured registry it is asked for as all other images are.
  if (
    reference === undefined ||
    registries.some(({ endpoint }) => endpoint.host === reference.domain)
  )
    return []
  // By a hosts.toml containerd may have it from anywhere.
  const folders = subject.containerd?.configPath?.value.split(':') ?? []
  if (folders.some((folder) => machine.root.exists(`${folder}/${reference.domain}`))) return []
  const { mirrorsOnly = [] } = loaded?.config ?? {}
  const isForbidden = mirrorsOnly.includes(reference.domain)
  const places = subject.offline || isForbidden ? undefined : await placesOf(reference, configFile)
  const origin = places?.find((place) => place.origin)
  const isThere = origin?.state === 'present' || origin?.error?.code === 'TOOMANYREQUESTS'
  if (places === undefined ? !isForbidden : isThere) return []
  const mirror = places?.find((place) => place.state === 'present' && !place.origin)
  return [
    {
      severity: 'error',
      file: sandbox.file,
      ...(sandbox.line !== undefined && { line: sandbox.line }),
      problem: `the pause image is ${sandbox.image}, and ${reference.domain} ${isForbidden ? 'is in mirrorsOnly' : 'does not have it, or cannot be reached from here'}`,
      consequence:
        'the runtime pulls it from there itself, past this service: without it no pod starts',
      mend:
        mirror === undefined
          ? `copy it to a registry that this node reaches, and name it as ${registries[0]?.name}/${reference.path}, by ${sandbox.key}`
          : `name it as ${mirror.reference}, by ${sandbox.key}, and restart the runtime`,
    },
  ]
}

async function sandboxOf({
  containerd,
  containerdFile,
  machine,
  runtime,
}: Subject): Promise<Sandbox | undefined> {
  if (runtime?.kind === 'CRI-O') {
    const files = await crioFiles(machine)
    const found = files.findLast(
      ({ root }) => typeof tableAt(root, 'crio', 'image')['pause_image'] === 'string',
    )
    if (found === undefined) return undefined
    const image = String(tableAt(found.root, 'crio', 'image')['pause_image'])
    const line = lineOf(found.text, ['crio', 'image', 'pause_image'])
    return { image, file: found.path, line, key: 'pause_image' }
  }
  if (containerd === undefined || containerd.files.length === 0) return undefined
  const key = containerd.version >= 3 ? 'pinned_images.sandbox' : 'sandbox_image'
  const written =
    lastWritten(containerd.files, 'pinned_images', 'sandbox', isText, [V3]) ??
    lastWritten(containerd.files, '', 'sandbox_image', isText, [V1_AND_2, 'cri'])
  if (written !== undefined) {
    return { image: written.value, file: written.file, line: written.line, key }
  }
  const image = containerd.version >= 3 ? DEFAULT_SANDBOX.new : DEFAULT_SANDBOX.old
  return { image, file: containerdFile, key }
}

function referenceOf(text: string): Reference | undefined {
  try {
    return parseReference(text)
  } catch {
    return undefined
  }
}

async function placesOf(reference: Reference, file: string | undefined) {
  const availability = await openResolver({ file })
  try {
    return await availability.places(reference)
  } finally {
    await availability.close()
  }
}
