import { startAliasNode } from '../support/alias-node.ts'
import { CRI_DOCKERD, CRI_O, OLD_CRI_O, type RuntimeProfile } from '../support/image-runtime.ts'
import { namingConformance } from './naming.ts'

const PROFILES: readonly [string, RuntimeProfile][] = [
  ['CRI-O', CRI_O],
  ['CRI-O before 1.35', OLD_CRI_O],
  ['cri-dockerd', CRI_DOCKERD],
]

for (const [name, profile] of PROFILES) {
  namingConformance(`like ${name}`, async (t, config) => {
    const node = await startAliasNode(t, profile, config)
    const { daemon, mirror, runtime } = node
    return {
      kubelet: node.kubelet,
      mirror: mirror.host,
      origin: node.origin,
      push: node.push,
      stopMirrors: () => mirror.refuse(),
      stopRegistries: () => mirror.refuse(),
      startRegistries: () => mirror.accept(),
      shim: daemon,
      idOf: (image) => profile.id(image.imageId.replace('sha256:', '')),
      pullBehindOurBack: async (image) => {
        await runtime.pull(image)
      },
      removeBehindOurBack: async (id) => runtime.remove(id),
    }
  })
}
