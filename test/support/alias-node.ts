import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { criClient, type TestCriClient } from './cri-client.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { FakeRegistry } from './fake-registry.ts'
import { type ImageRuntime, type RuntimeProfile, startImageRuntime } from './image-runtime.ts'
import type { TestImage } from './images.ts'
import { type RegistryProxy, startRegistryProxy } from './registry-proxy.ts'
import { temporaryFolder } from './stack.ts'

/** A node with a scripted runtime that keeps no names for us; a mirror; and our service. */
export interface AliasNode {
  readonly runtime: ImageRuntime
  readonly mirror: RegistryProxy
  /** `host:port` of the registry behind it. */
  readonly origin: string
  readonly daemon: Daemon
  readonly kubelet: TestCriClient
  push(repository: string, tag: string, image: TestImage): Promise<void>
}

export async function startAliasNode(
  t: TestContext,
  profile: RuntimeProfile,
  config: object = {},
): Promise<AliasNode> {
  const registry = await FakeRegistry.start(t)
  const mirror = await startRegistryProxy(t, registry.url)
  const runtime = await startImageRuntime(t, join(temporaryFolder(t), 'runtime.sock'), profile)
  const daemon = await startDaemon(t, {
    cri: runtime.fake.path,
    config: { address: mirror.url, ...config },
  })
  return {
    runtime,
    mirror,
    origin: registry.host,
    daemon,
    kubelet: criClient(t, daemon.socketPath),
    push: async (repository, tag, image) => registry.put(repository, tag, image),
  }
}
