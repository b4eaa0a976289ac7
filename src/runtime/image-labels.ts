import type { ImageName } from './name-table.ts'

/** By this label the CRI part of containerd knows the names it takes care of. */
export const MANAGED = { 'io.cri-containerd.image': 'managed' }

/**
 * Whether containerd keeps the image from the kubelet's collection because of this very name. It
 * gives the label itself, to each name that its configuration spells out, be it made by us or not
 * (it compares all its labels with those of a name whenever that changes); with the name the
 * protection would go.
 */
export function isPinned({ labels }: ImageName): boolean {
  return labels['io.cri-containerd.pinned'] === 'pinned'
}
