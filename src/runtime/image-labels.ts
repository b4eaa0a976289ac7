import type { ImageName } from './name-table.ts'

/**
 * Whether containerd keeps the image from the kubelet's collection because of this very name, which
 * its configuration spells out, or somebody has labelled by hand: with the name the protection would
 * go.
 */
export function isPinned({ labels }: ImageName): boolean {
  return labels['io.cri-containerd.pinned'] === 'pinned'
}
