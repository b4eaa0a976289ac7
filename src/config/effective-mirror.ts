import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import type { MirrorConfig } from './config.ts'
import type { Findings } from './findings.ts'
import type { Written } from './written.ts'

const MAX_BLOBS = 256

/** `mirror` with its defaults. */
export function effectiveMirror(
  written: NonNullable<Written['mirror']>,
  findings: Findings,
): MirrorConfig {
  const count = (field: 'blobs' | 'blobsPerClient', otherwise: number): number => {
    const given = written[field] ?? otherwise
    if (given < 1) findings.problem(`mirror.${field}`, `${given} is not from 1 to ${MAX_BLOBS}`)
    return given
  }
  return {
    enabled: written.enabled ?? CONFIG_DEFAULTS.mirrorEnabled,
    blobs: count('blobs', CONFIG_DEFAULTS.mirrorBlobs),
    blobsPerClient: count('blobsPerClient', CONFIG_DEFAULTS.mirrorBlobsPerClient),
  }
}
