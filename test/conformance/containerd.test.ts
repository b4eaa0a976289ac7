import { startTestNode } from '../support/node.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'
import { namingConformance } from './naming.ts'

namingConformance('containerd', async (t, config) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return undefined
  const node = await startTestNode(t, config)
  const { daemon, direct, first, second, registry } = node
  return {
    kubelet: node.kubelet,
    mirror: first.host,
    push: node.push,
    stopRegistries: async () => {
      await Promise.all([first.refuse(), second.refuse(), registry.stop()])
    },
    startRegistries: async () => {
      await registry.start()
      await Promise.all([first.accept(), second.accept()])
    },
    restartShim: async () => {
      await daemon.stop()
      await daemon.start()
    },
    killShim: async () => {
      await daemon.kill()
      await daemon.start()
    },
    idOf: (image) => image.imageId,
    pullBehindOurBack: async (image) => {
      await direct.pullImage(image)
    },
    removeBehindOurBack: (id) => direct.removeImage(id),
  }
})
