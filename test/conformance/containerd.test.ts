import { startTestNode } from '../support/node.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'
import { namingConformance } from './naming.ts'

namingConformance('containerd', async (t, config) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return undefined
  const node = await startTestNode(t, config)
  const { daemon, direct, first, second, registry } = node
  const stopMirrors = async (): Promise<void> => {
    await Promise.all([first.refuse(), second.refuse()])
  }
  return {
    kubelet: node.kubelet,
    mirror: first.host,
    origin: registry.host,
    push: node.push,
    stopMirrors,
    stopRegistries: async () => {
      await Promise.all([stopMirrors(), registry.stop()])
    },
    startRegistries: async () => {
      await registry.start()
      await Promise.all([first.accept(), second.accept()])
    },
    shim: daemon,
    idOf: (image) => image.imageId,
    pullBehindOurBack: async (image) => {
      await direct.pullImage(image)
    },
    removeBehindOurBack: (id) => direct.removeImage(id),
  }
})
