import { readFile } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { Compile } from 'typebox/schema'
import { type AppOptions, buildApp } from '../../src/http/app.ts'
import type { AnswerOptions, Answers } from '../../src/http/types.ts'
import type { Answer } from '../../src/resolver/answer.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

export const INDEX_DIGEST = `sha256:${'a'.repeat(64)}`
export const MANIFEST_DIGEST = `sha256:${'b'.repeat(64)}`
export const IMAGE_ID = `sha256:${'c'.repeat(64)}`
/** What the clock of the door under test says. */
export const NOW = Date.UTC(2026, 0, 31, 12, 0, 0)

/** A tag's answer, fresh from a registry, good for one minute. */
export function anAnswer(changes: Partial<Answer> = {}): Answer {
  return {
    requested: 'nginx:latest',
    reference: 'docker.io/library/nginx:latest',
    imageId: IMAGE_ID,
    digest: INDEX_DIGEST,
    manifestDigest: MANIFEST_DIGEST,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    references: [
      {
        reference: `harbor.corp/library/nginx@${INDEX_DIGEST}`,
        kind: 'digest',
        registry: 'harbor.corp',
        priority: 1000,
        verified: true,
      },
      {
        reference: 'docker.io/library/nginx:latest',
        kind: 'tag',
        registry: 'docker.io',
        priority: 0,
        verified: false,
      },
    ],
    registry: 'harbor.corp',
    source: 'registry',
    resolvedAt: NOW,
    expiresAt: NOW + 60_000,
    attempts: [{ registry: 'harbor.corp', step: 'manifest', outcome: 'ok', status: 200, ms: 3.5 }],
    ...changes,
  }
}

/** Says always the same, or throws it, and remembers what was asked. */
export class ScriptedAnswers implements Answers {
  readonly asked: { readonly input: string; readonly options: AnswerOptions }[] = []
  readonly #result: Answer | Error

  constructor(result: Answer | Error) {
    this.#result = result
  }

  async answer(input: string, options: AnswerOptions): Promise<Answer> {
    this.asked.push({ input, options })
    if (this.#result instanceof Error) throw this.#result
    return this.#result
  }
}

/** A question that is never answered: it ends as its signal does. */
export function endlessAnswers(onAsked: (signal: AbortSignal) => void = () => {}): Answers {
  return {
    answer: (_input, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        onAsked(signal)
      }),
  }
}

/** A door for the length of one test. */
export async function openDoor(
  t: TestContext,
  options: Partial<AppOptions> = {},
): Promise<FastifyInstance> {
  const app = buildApp({
    answers: new ScriptedAnswers(anAnswer()),
    readiness: { check: async () => [] },
    logger: createLogger('silent'),
    now: () => NOW,
    ...options,
  })
  t.after(() => app.close())
  await app.ready()
  return app
}

/**
 * Asks the document that the door itself gives out whether a body is what it promises; a field that
 * the document does not name is an error too.
 * @returns the errors, none when all is well
 */
export async function documentErrors(
  app: FastifyInstance,
  component: string,
  body: unknown,
): Promise<unknown[]> {
  const { payload } = await app.inject('/openapi.json')
  const document = JSON.parse(payload, (_key, value) =>
    value?.type === 'object' && value.properties
      ? { ...value, additionalProperties: false }
      : value,
  )
  if (document.components.schemas[component] === undefined) return [`no component ${component}`]
  const schema = { ...document, $ref: `#/components/schemas/${component}` }
  return Compile(schema).Errors(body)[1]
}

/** The rows of the tables of a Markdown page, cells trimmed, without the lines that rule them. */
export async function tableRows(path: string): Promise<string[][]> {
  const text = await readFile(path, 'utf8')
  return text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s:|-]+\|$/.test(line))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
}
