import { type Attempt, type ResolveError, toResolveError } from '../../errors.ts'
import { formatPlatform } from '../../reference/platform.ts'
import type { Answer } from '../../resolver/answer.ts'
import { toResolveResponse } from '../../resolver/answer-body.ts'
import { toAttemptBody, toFoundBody } from '../../resolver/attempt-body.ts'
import { toCandidateBody } from '../../resolver/candidate-body.ts'
import type { CandidateReport } from '../../resolver/types.ts'
import { storyOf } from '../../resolver/unresolved.ts'
import { storyTree } from '../tree.ts'
import { waiting } from '../waiting.ts'
import type { AnswerSource, World } from '../world.ts'

export interface ResolveCommandOptions {
  readonly reference: string
  readonly json: boolean
  readonly explain: boolean
  /** Ask every registry, and show what each one says. */
  readonly all: boolean
  readonly node: boolean
  readonly platform?: string
  readonly open: () => Promise<AnswerSource>
  readonly world: Pick<World, 'stdout' | 'stderr' | 'environment' | 'every'>
}

/**
 * Resolves one reference and prints the answer: for people, or as GET /resolve gives it.
 *
 * @returns the exit code: 0 found; 1 not; a bad configuration is thrown as CONFIG_INVALID
 */
export async function resolveCommand(options: ResolveCommandOptions): Promise<0 | 1> {
  const { reference, json, all, explain, node, platform, world } = options
  const { stdout, stderr } = world
  const answers = await options.open()
  try {
    const asked = { node, ...(all && { all }), ...(platform !== undefined && { platform }) }
    const answer = await waiting(whom(answers, reference), answers.answer(reference, asked), world)
    stdout.write(
      json
        ? `${JSON.stringify(toResolveResponse(answer, explain, explain || all), null, 2)}\n`
        : describe(answer, explain || all),
    )
    return 0
  } catch (thrown) {
    const error = toResolveError(thrown)
    if (json) stdout.write(`${JSON.stringify(errorBody(error, explain || all), null, 2)}\n`)
    else stderr.write(describeError(error, explain || all))
    return 1
  } finally {
    await answers.close()
  }
}

function whom(answers: AnswerSource, reference: string): string {
  const registries = answers.askedFor(reference)
  return registries.length === 0 ? 'an answer' : registries.join(', ')
}

function describe(answer: Answer, explain: boolean): string {
  const lines = [
    row('reference', answer.reference),
    row('image ID', answer.imageId),
    row('digest', answer.digest ?? '-'),
    ...(answer.manifestDigest === answer.digest
      ? []
      : [row('manifest', answer.manifestDigest ?? '-')]),
    row(
      'platform',
      `${formatPlatform(answer.platform)}${answer.platform.assumed ? ' (assumed)' : ''}`,
    ),
    row(
      'found at',
      `${answer.registry}${answer.source === 'registry' ? '' : ` (${answer.source})`}`,
    ),
    ...(answer.node === undefined ? [] : [row('on the node', answer.node.imageId ?? 'no')]),
    'pull from',
    ...answer.references.map(
      ({ reference, verified }) => `  ${reference}${verified ? '' : '  (not verified)'}`,
    ),
    ...(explain ? tellAll(answer.candidates ?? [], answer.attempts) : []),
  ]
  return `${lines.join('\n')}\n`
}

function row(name: string, value: string): string {
  return `${name.padEnd(12)}${value}`
}

function describeError(error: ResolveError, explain: boolean): string {
  const told = explain ? tellAll(storyOf(error), error.attempts) : tellAll([], error.attempts)
  return `${[`image-resolver: ${error.message} [${error.code}]`, ...told].join('\n')}\n`
}

/** The whole story where it is known, else who was asked. */
function tellAll(
  candidates: readonly CandidateReport[],
  attempts: readonly Attempt[],
): readonly string[] {
  if (candidates.length > 0) return ['asked', ...storyTree(candidates)]
  return attempts.length === 0 ? [] : ['asked', ...attempts.map(describeAttempt)]
}

function describeAttempt({ registry, step, outcome, status, ms, message }: Attempt): string {
  const said = [outcome, status, message].filter((part) => part !== undefined).join(' ')
  return `  ${registry}  ${step}  ${said}  ${Math.round(ms)} ms`
}

function errorBody(error: ResolveError, explain: boolean): object {
  const { code, found, message, attempts } = error
  const candidates = explain ? storyOf(error) : []
  const detail = {
    ...(found !== undefined && { found: toFoundBody(found) }),
    ...(attempts.length > 0 && { attempts: attempts.map(toAttemptBody) }),
    ...(candidates.length > 0 && { candidates: candidates.map(toCandidateBody) }),
  }
  return { errors: [{ code, message, detail }] }
}
