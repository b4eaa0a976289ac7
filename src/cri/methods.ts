/** The methods of CRI, in both of its versions, and of this project's own service. */
const SERVICES = {
  ImageService: 'ImageFsInfo ImageStatus ListImages PullImage RemoveImage StreamImages',
  RuntimeService: `Attach CheckpointContainer ContainerStats ContainerStatus CreateContainer Exec
    ExecSync GetContainerEvents ListContainerStats ListContainers ListMetricDescriptors
    ListPodSandbox ListPodSandboxMetrics ListPodSandboxStats PodSandboxStats PodSandboxStatus
    PortForward RemoveContainer RemovePodSandbox ReopenContainerLog RunPodSandbox RuntimeConfig
    StartContainer Status StopContainer StopPodSandbox StreamContainerStats StreamContainers
    StreamPodSandboxMetrics StreamPodSandboxStats StreamPodSandboxes UpdateContainerResources
    UpdatePodSandboxResources UpdateRuntimeConfig Version`,
} as const

const NAMES: ReadonlyMap<string, string> = new Map([
  ['/imageresolver.v1.ImageResolver/ResolveImage', 'ImageResolver/ResolveImage'],
  ...Object.entries(SERVICES).flatMap(([service, methods]) =>
    methods.split(/\s+/).flatMap((method): [string, string][] => {
      const name = `${service}/${method}`
      return [
        [`/runtime.v1.${name}`, name],
        [`/runtime.v1alpha2.${name}`, name],
      ]
    }),
  ),
])

/**
 * The label of a call: `ImageService/PullImage`, in either version of CRI. Any other path is `other`,
 * because each label value is kept and clients can invent paths.
 *
 * @param path `/runtime.v1.ImageService/PullImage`
 */
export function methodName(path: string): string {
  return NAMES.get(path) ?? 'other'
}

const UNARY: ReadonlySet<string> = new Set(
  [...NAMES.keys()].filter((path) => !/\/(?:Stream|GetContainerEvents)/.test(path)),
)

/** Whether the call never ends by itself, so that nothing may wait for it. Of any version. */
export function isEndless(path: string): boolean {
  return path.endsWith('.RuntimeService/GetContainerEvents')
}

/** Whether the answer is one message and its status; false where that is not known. */
export function isUnary(path: string): boolean {
  return UNARY.has(path)
}
