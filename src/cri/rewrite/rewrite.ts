import type { Aliases } from '../../runtime/types.ts'
import type { Logger } from '../../telemetry/log.ts'
import { bodyEdit, type CallEdits } from './body-edit.ts'
import { containerAnswers, containerRequests } from './containers.ts'
import { imageListEdit } from './images.ts'

const CRI_PATH = /^\/runtime\.v1(?:alpha2)?\.(?:Image|Runtime)Service\/(\w+)$/

/** Undefined: the call is put through as it is. */
export type Rewrite = (path: string) => CallEdits | undefined

/**
 * Names in relayed calls, in front of a runtime that does not keep them: only bytes of names are
 * changed. In front of any other, undefined for every path; while nobody knows yet, changes
 * nothing as long as no name was ever given.
 */
export function createRewrite(aliases: Aliases, log: Pick<Logger, 'warn' | 'error'>): Rewrite {
  const answers = containerAnswers(aliases)
  const requests = containerRequests(aliases)
  return (path) => {
    const rpc = CRI_PATH.exec(path)?.[1]
    if (rpc === undefined || aliases.lastRoute() === 'runtime') return undefined
    if (rpc === 'ListImages' || rpc === 'StreamImages') {
      const { request, response, ended } = imageListEdit(aliases)
      return { request: bodyEdit(request, log), response: bodyEdit(response, log), ended }
    }
    const answer = answers[rpc]
    if (answer !== undefined) return { response: bodyEdit(answer, log) }
    const request = requests[rpc]
    return request === undefined ? undefined : { request: bodyEdit(request, log) }
  }
}
