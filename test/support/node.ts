import { type Containerd, startContainerd } from './containerd.ts'
import { criClient, type TestCriClient } from './cri-client.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts'
import { pushImage, type TestImage } from './images.ts'
import { type RegistryProxy, startRegistryProxy } from './registry-proxy.ts'
import type { Cleanup } from './stack.ts'

/** A node as it is in the field: a kubelet's client, our service, containerd, registries. */
export interface TestNode {
  readonly containerd: Containerd
  readonly registry: DockerRegistry
  /** Two ways to the same registry, each of which can be broken; the first is asked first. */
  readonly first: RegistryProxy
  readonly second: RegistryProxy
  readonly daemon: Daemon
  /** Through our socket. */
  readonly kubelet: TestCriClient
  /** Past us, at containerd's own socket. */
  readonly direct: TestCriClient
  push(repository: string, tag: string, image: TestImage): Promise<void>
  /** GET on our HTTP API. */
  get(path: string): Promise<{ readonly status: number; readonly body: never }>
}

export async function startTestNode(t: Cleanup, config: object = {}): Promise<TestNode> {
  const [containerd, registry] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
  const first = await startRegistryProxy(t, registry.url)
  const second = await startRegistryProxy(t, registry.url)
  const daemon = await startDaemon(t, {
    cri: containerd.socketPath,
    config: {
      address: first.url,
      registries: [{ address: second.url, priority: 400 }],
      ...config,
    },
  })
  return {
    containerd,
    registry,
    first,
    second,
    daemon,
    kubelet: criClient(t, daemon.socketPath),
    direct: criClient(t, containerd.socketPath),
    push: (repository, tag, image) => pushImage(registry.url, repository, tag, image),
    async get(path) {
      const response = await fetch(new URL(path, daemon.httpUrl()))
      return { status: response.status, body: (await response.json()) as never }
    },
  }
}
