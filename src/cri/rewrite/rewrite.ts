import type { Aliases } from '../../runtime/types.ts'
import type { Logger } from '../../telemetry/log.ts'
import { edited, type FieldEdit, readString } from '../wire.ts'
import { bodyEdit, type CallEdits, type MessageEdit } from './body-edit.ts'
import { imageListEdit, imageSpecEdit, requestedSpecEdit, textEdit } from './images.ts'

const CRI_PATH = /^\/runtime\.v1(?:alpha2)?\.(?:Image|Runtime)Service\/(\w+)$/

/** @returns undefined: the call is relayed unchanged */
export type Rewrite = (path: string) => CallEdits | undefined

/**
 * Edits the names in relayed calls in front of a runtime that does not keep them; every other byte stays.
 * In front of any other runtime no call is edited. Before the runtime is known, calls change only if a
 * name was given earlier.
 */
export function createRewrite(aliases: Aliases, log: Pick<Logger, 'warn' | 'error'>): Rewrite {
  const answers = containerAnswers(aliases)
  const requests = containerRequests(aliases)
  return (path) => {
    const rpc = CRI_PATH.exec(path)?.[1]
    if (rpc === undefined || aliases.lastRoute() === 'runtime') return undefined
    if (rpc === 'ListImages' || rpc === 'StreamImages') {
      const { request, response, ended } = imageListEdit(aliases)
      return { request: bodyEdit(request, log), response: bodyEdit(response, log), ended }
    }
    const answer = answers[rpc]
    if (answer !== undefined) return { response: bodyEdit(answer, log) }
    const request = requests[rpc]
    return request === undefined ? undefined : { request: bodyEdit(request, log) }
  }
}

/** The fields of an image in a message about a container; numbers of runtime.v1. */
interface ImageFields {
  readonly spec: number
  readonly imageRef: number
  readonly imageId: number
}

/** Container and ContainerStatus. */
const CONTAINER: ImageFields = { spec: 4, imageRef: 5, imageId: 10 }
const STATUS: ImageFields = { spec: 8, imageRef: 9, imageId: 17 }
/** ContainerStatus.mounts, ContainerConfig.mounts, Mount.image. */
const STATUS_MOUNTS = 14
const CONFIG_MOUNTS = 7
const MOUNT_IMAGE = 9
/** CreateContainerRequest.config, RestorePodRequest.container_configs, ContainerConfig.image. */
const CREATE_CONFIG = 2
const RESTORE_CONFIGS = 5
const CONFIG_IMAGE = 2

/**
 * The edits of answers about containers, by RPC. `image_id` and any other ID stay. `image_ref`, which pods
 * show as their imageID, is a name with a digest on most runtimes, and gets the original's name with the
 * same digest.
 */
function containerAnswers(aliases: Aliases): Readonly<Record<string, MessageEdit>> {
  const container = containerEdit(aliases, CONTAINER)
  const status = containerEdit(aliases, STATUS)
  const at =
    (field: number, edit: FieldEdit): MessageEdit =>
    (message) =>
      edited(message, { [field]: edit })
  return {
    ListContainers: at(1, container),
    StreamContainers: at(1, container),
    ContainerStatus: at(1, status),
    PodSandboxStatus: at(3, status),
    GetContainerEvents: at(5, status),
  }
}

/** The edits of requests to run something, by RPC. The kubelet asks by ID, and that stays. */
function containerRequests(aliases: Aliases): Readonly<Record<string, MessageEdit>> {
  const spec = requestedSpecEdit(aliases)
  const config: FieldEdit = (message) =>
    edited(message, {
      [CONFIG_IMAGE]: spec,
      [CONFIG_MOUNTS]: (mount) => edited(mount, { [MOUNT_IMAGE]: spec }),
    })
  return {
    CreateContainer: (message) => edited(message, { [CREATE_CONFIG]: config }),
    RestorePod: (message) => edited(message, { [RESTORE_CONFIGS]: config }),
  }
}

function containerEdit(aliases: Aliases, { spec, imageRef, imageId }: ImageFields): FieldEdit {
  return (message) => {
    // Runtimes before CRI 0.30 have no image_id; their image_ref may be the ID.
    const id = readString(message, imageId) || readString(message, imageRef)
    const mount: FieldEdit = (bytes) => edited(bytes, { [MOUNT_IMAGE]: imageSpecEdit(aliases, '') })
    return edited(message, {
      [spec]: imageSpecEdit(aliases, id),
      [imageRef]: textEdit((name) => aliases.reference(name, id)),
      ...(imageId === STATUS.imageId ? { [STATUS_MOUNTS]: mount } : {}),
    })
  }
}
