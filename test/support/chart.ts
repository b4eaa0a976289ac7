import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { dump, loadAll } from 'js-yaml'
import { findProgram } from './stack.ts'

export const ROOT = resolve(import.meta.dirname, '../..')
export const CHART = join(ROOT, 'deploy/helm/image-resolver')
export const PROGRAMS = ['helm', 'validate-manifests']
export const VERSION = ['--kube-version', '1.34.0']

export interface Rendered {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec: never
  readonly data: Readonly<Record<string, string>>
}

export interface Container {
  readonly image: string
  readonly args?: readonly string[]
  readonly securityContext: object
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
  readonly env?: readonly { readonly name: string }[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly readinessProbe: Probe
  readonly livenessProbe?: Probe
  readonly startupProbe?: Probe
}

interface Probe {
  readonly httpGet?: {
    readonly host?: string
    readonly port: number | string
    readonly scheme?: string
  }
  readonly exec?: { readonly command: readonly string[] }
}

export interface PodSpec {
  readonly nodeSelector?: object
  readonly affinity?: object
  readonly tolerations?: object
  readonly initContainers?: readonly Container[]
  readonly hostNetwork?: boolean
  readonly hostPID?: boolean
  readonly automountServiceAccountToken: boolean
  readonly containers: readonly Container[]
  readonly volumes: readonly { readonly name: string; readonly hostPath?: object }[]
}

/** The objects of the chart, or of another copy of it, with these values. */
export async function render(
  values: object,
  chart = CHART,
): Promise<{ text: string; objects: readonly Rendered[] }> {
  const args = ['template', 'cluster', chart, '--namespace', 'tools', ...VERSION, '--values', '-']
  const text = ran(findProgram('helm') ?? '', args, dump(values))
  const objects = (loadAll(text) as (Rendered | null)[]).filter((each) => each !== null)
  return { text, objects }
}

/** @returns what it prints; throws with that when it fails */
export function ran(program: string, args: readonly string[], input: string): string {
  const { status, stderr, stdout } = spawnSync(program, args, { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}${stdout}`)
  return stdout
}

export function one(objects: readonly Rendered[], kind: string, name?: string): Rendered {
  const found = objects.filter(
    (each) => each.kind === kind && (name === undefined || each.metadata.name === name),
  )
  assert.equal(found.length, 1, `${kind} ${name}`)
  return found[0] ?? assert.fail()
}

export function podOf(object: Rendered): PodSpec {
  return (object.spec as { readonly template: { readonly spec: PodSpec } }).template.spec
}
