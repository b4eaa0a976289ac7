import type { Aliases } from '../../runtime/types.ts'
import type { Logger } from '../../telemetry/log.ts'
import { bodyEdit, type CallEdits } from './body-edit.ts'
import { containerAnswers, containerRequests } from './containers.ts'
import { imageListEdit } from './images.ts'

const CRI_PATH = /^\/runtime\.v1(?:alpha2)?\.(?:Image|Runtime)Service\/(\w+)$/

/** @returns undefined: the call is relayed unchanged */
export type Rewrite = (path: string) => CallEdits | undefined

/**
 * Edits the names in relayed calls in front of a runtime that does not keep them; every other byte stays.
 * In front of any other runtime no call is edited. Before the runtime is known, calls change only if a
 * name was given earlier.
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
