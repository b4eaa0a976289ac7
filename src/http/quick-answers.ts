import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { parse } from 'node:querystring'
import { ResolveQuery } from '../../api/v1/resolve.ts'
import type { Answer } from '../resolver/types.ts'
import { type WrittenAnswer, writtenAnswer } from './answer-text.ts'
import { cacheControl, cacheStatus } from './caching.ts'
import { hasAlready } from './etag.ts'
import { acceptsGzip } from './gzip.ts'
import { readQuery } from './query.ts'
import { requestId } from './request-id.ts'
import type { Answers } from './types.ts'

const PATH = '/resolve?'
/** Questions that are remembered as they were put, and how long each may be. */
const MAX_QUESTIONS = 4_096
const MAX_URL = 1_024

/** A question that the cache may answer: what it has now, for somebody known or for a stranger. */
type Question = (stranger: boolean) => Answer | undefined

/**
 * What does not change while an answer is the same and the second too. The fields are as `writeHead`
 * takes them, names and values in turns; the last value is the ID of the request, written in for each.
 */
interface Head {
  readonly answer: Answer
  readonly written: WrittenAnswer
  readonly second: number
  readonly known: string[]
  readonly plain: string[]
  readonly gzip: string[]
}

interface Asked {
  readonly question: Question | undefined
  head?: Head
}

export interface QuickAnswersOptions {
  readonly answers: Answers
  readonly now: () => number
  /** Whether somebody may ask; what to say to who may not is not ours. */
  readonly admits: (request: IncomingMessage) => boolean
  /** As Guard.isStranger. */
  readonly isStranger: (request: IncomingMessage) => boolean
}

/**
 * Answers `GET /resolve` from the cache before the framework sees it, which would take longer than
 * everything else together. What is not plainly there at once goes the ordinary way, with the same
 * headers and the same body in the end.
 */
export class QuickAnswers {
  readonly #options: QuickAnswersOptions
  readonly #asked = new Map<string, Asked>()

  constructor(options: QuickAnswersOptions) {
    this.#options = options
  }

  /** @returns whether it was answered; if not, nothing was written */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    const { headers, method, url = '' } = request
    if (!url.startsWith(PATH) || method !== 'GET' || hasBody(headers)) return false
    const asked = this.#asked.get(url) ?? this.#read(url)
    const { question } = asked
    if (question === undefined || !this.#options.admits(request)) return false
    const answer = question(this.#options.isStranger(request))
    if (answer === undefined) return false
    send(request, response, this.#head(asked, answer))
    return true
  }

  #head(asked: Asked, answer: Answer): Head {
    const now = this.#options.now()
    const second = Math.floor(now / 1000)
    const known = asked.head
    if (known?.answer === answer && known.second === second) return known
    const head = headOf(answer, now)
    asked.head = head
    return head
  }

  #read(url: string): Asked {
    const { prepare } = this.#options.answers
    if (prepare === undefined || url.length > MAX_URL) return { question: undefined }
    const read = readQuery(ResolveQuery, parse(url.slice(PATH.length)))
    const asked = { question: 'error' in read ? undefined : this.#question(read.value) }
    if (this.#asked.size >= MAX_QUESTIONS) this.#asked.clear()
    this.#asked.set(url, asked)
    return asked
  }

  #question({ ref, platform, ...flags }: Record<string, unknown>): Question | undefined {
    if (Object.values(flags).includes(true)) return undefined
    const prepare = (stranger: boolean) =>
      this.#options.answers.prepare?.(String(ref), platform as string | undefined, stranger)
    const forKnown = prepare(false)
    const forStrangers = prepare(true)
    if (forKnown === undefined || forStrangers === undefined) return undefined
    return (stranger) => (stranger ? forStrangers() : forKnown())
  }
}

function headOf(answer: Answer, now: number): Head {
  const written = writtenAnswer(answer)
  const { bytes, etag, gzip } = written
  const { digest } = answer
  const common = [
    ...['cache-control', cacheControl(answer, false, now)],
    ...['cache-status', cacheStatus(answer, false, now)],
    ...(digest === undefined ? [] : ['docker-content-digest', digest]),
    ...(gzip === undefined ? [] : ['vary', 'Accept-Encoding']),
  ]
  const type = ['content-type', 'application/json; charset=utf-8']
  const id = ['x-request-id', '']
  return {
    answer,
    written,
    second: Math.floor(now / 1000),
    known: [...common, 'etag', etag, ...id],
    plain: [...common, 'etag', etag, ...type, 'content-length', String(bytes), ...id],
    gzip: [
      ...common,
      ...['etag', gzip?.etag ?? etag, 'content-encoding', 'gzip', ...type],
      ...['content-length', String(gzip?.body.length ?? bytes), ...id],
    ],
  }
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

function send(request: IncomingMessage, response: ServerResponse, head: Head): void {
  const { headers } = request
  const { etag, gzip, text } = head.written
  // There is nothing to read; but where nobody has tried, Node drains the request once it is answered,
  // which takes longer than all that is done here.
  request.read()
  const id = requestId(headers)
  if (hasAlready(headers['if-none-match'], etag)) {
    response.writeHead(304, withId(head.known, id)).end()
  } else if (gzip !== undefined && acceptsGzip(headers['accept-encoding'])) {
    response.writeHead(200, withId(head.gzip, id)).end(gzip.body)
  } else {
    response.writeHead(200, withId(head.plain, id)).end(text)
  }
}

function withId(fields: string[], id: string): string[] {
  fields[fields.length - 1] = id
  return fields
}
