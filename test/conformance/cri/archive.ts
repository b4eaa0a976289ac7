import { writeFileSync } from 'node:fs'
import { descriptor, type TestImage } from '../../support/images.ts'
import { tar } from '../../support/tar.ts'

/** An image as `ctr images import` takes it: an OCI layout in a tar file, with its name. */
export function writeArchive(file: string, image: TestImage, name: string): void {
  const named = { ...descriptor(image), annotations: { 'io.containerd.image.name': name } }
  const index = { schemaVersion: 2, manifests: [named] }
  const blobs = [image, ...image.blobs].map(({ bytes, digest }) => ({
    path: `blobs/${digest.replace(':', '/')}`,
    content: bytes,
  }))
  writeFileSync(
    file,
    tar([
      { path: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
      { path: 'index.json', content: JSON.stringify(index) },
      ...blobs,
    ]),
  )
}
