import type { Clock } from '../concurrency/clock.ts'
import type { Ticket } from '../concurrency/semaphore.ts'
import type { Attempt, AttemptOutcome } from '../errors.ts'
import { formatReference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { ImageIdentity } from '../registry/image.ts'
import { needsConsent, resolvesTags } from './candidates.ts'
import { barred, Consent } from './consent.ts'
import { identify, type Probe, type Question, requestFor, wanted } from './identify.ts'
import type { Standing } from './ranking.ts'
import { WalkRecord } from './record.ts'
import { type Ending, story } from './story.ts'
import { survey } from './survey.ts'
import type { Candidate, CandidateReport, Health, ImageSource } from './types.ts'
import { UnresolvedError } from './unresolved.ts'
import { before } from './until.ts'
import { walk } from './walk.ts'
import type { Ask, Gate, WalkLimits } from './walk-options.ts'

export interface InquiryOptions {
  readonly source: ImageSource
  readonly health: Health
  readonly clock: Clock
  readonly limits: WalkLimits
  readonly credentials: (candidate: Candidate) => Promise<Credentials | undefined>
  /** Whether it goes first where many stand in line. */
  readonly urgent: boolean
  readonly signal: AbortSignal
}

/** What came of it. */
export interface Findings {
  readonly candidate: Candidate
  readonly identity: ImageIdentity
  readonly standing: (candidate: Candidate) => Standing
  readonly attempts: readonly Attempt[]
  readonly reports: readonly CandidateReport[]
}

/** Of these registries nothing is known; they may be able to serve the digest later. */
const UNDECIDED: ReadonlySet<AttemptOutcome | undefined> = new Set([
  undefined,
  'canceled',
  'skipped',
  'timeout',
  'unreachable',
])

/** One question, put to its candidates once. */
export class Inquiry {
  readonly #question: Question
  readonly #candidates: readonly Candidate[]
  readonly #options: InquiryOptions
  readonly #record: WalkRecord<ImageIdentity>
  readonly #consent: Consent

  constructor(question: Question, candidates: readonly Candidate[], options: InquiryOptions) {
    const { clock, health, limits, signal, source } = options
    this.#question = question
    this.#candidates = candidates
    this.#options = options
    const isByDigest = question.reference.digest !== undefined
    this.#record = new WalkRecord(candidates, health, clock, isByDigest)
    this.#consent = new Consent({
      origin: candidates.find(({ origin }) => origin),
      ask: (candidate, asked, line, observe) => {
        const { credentials } = candidate
        const ticket = this.#urgent(line)
        return source.digest(
          requestFor(
            { candidate, credentials, signal: asked, ticket, observe },
            wanted(question.reference),
          ),
        )
      },
      observer: (candidate, registry) => this.#record.observer(candidate, registry),
      health,
      clock,
      budgetMs: limits.probeBudgetMs,
      signal,
    })
  }

  /**
   * @param all ask every candidate at once and wait for all of them; else as walk() does
   * @throws UnresolvedError
   */
  async run(all: boolean): Promise<Findings> {
    try {
      const ending = await (all ? this.#survey() : this.#walk())
      await this.#confirm(ending)
      const { answers, attempts } = this.#record
      return {
        candidate: ending.candidate,
        identity: answers.get(ending.candidate) as ImageIdentity,
        standing: (candidate) => this.#standing(candidate, ending.digest),
        attempts,
        reports: this.#story(ending),
      }
    } catch (thrown) {
      throw new UnresolvedError(this.#story(), { cause: thrown })
    }
  }

  #story(ending?: Ending): readonly CandidateReport[] {
    return story(this.#question.reference, this.#record, ending, this.#consent.digest)
  }

  async #walk(): Promise<Ending> {
    const found = await walk(this.#askable(), this.#ask, {
      ...this.#shared(),
      what: formatReference(this.#question.reference),
    })
    return { candidate: found.candidate, digest: found.value.digest }
  }

  async #survey(): Promise<Ending> {
    const candidates = this.#askable()
    await survey(candidates, this.#ask, { ...this.#shared(), resting: true })
    const { answers } = this.#record
    const candidate = candidates.find((each) => answers.has(each))
    const what = formatReference(this.#question.reference)
    if (candidate === undefined) {
      const { signal } = this.#options
      throw signal.aborted ? this.#record.ended(what, signal.reason) : this.#record.error(what)
    }
    return { candidate, digest: (answers.get(candidate) as ImageIdentity).digest }
  }

  /** Those that are asked by digest alone, once somebody else has said what the tag points at. */
  async #confirm({ candidate: winner, digest }: Ending): Promise<void> {
    const askable = new Set(this.#askable())
    const others = this.#candidates.filter((candidate) => !askable.has(candidate))
    const { source } = this.#options
    const known = this.#record.answers.get(winner) as ImageIdentity
    await survey(
      others,
      async (candidate, signal, ticket) => {
        await source.digest(requestFor(await this.#probe(candidate, signal, ticket), digest))
        return known
      },
      { ...this.#shared(), gate: this.#gateFor(digest), resting: false },
    )
  }

  readonly #ask: Ask<ImageIdentity> = async (candidate, signal, ticket, promoted) => {
    const probe = await this.#probe(candidate, signal, ticket)
    const question = this.#questionFor(candidate)
    if (promoted === undefined) return identify(this.#options.source, question, probe)
    return identify(this.#options.source, question, probe, (digest) => {
      this.#record.named(candidate, digest)
      return promoted()
    })
  }

  /** One that is not trusted is asked for the very digest that its origin names. */
  #questionFor(candidate: Candidate): Question {
    const { digest } = this.#consent
    if (!needsConsent(candidate) || digest === undefined) return this.#question
    const { reference } = this.#question
    return { ...this.#question, reference: { ...reference, digest }, expected: false }
  }

  /** Consent to one digest is none to another. */
  #gateFor(digest: string): Gate {
    return (candidate) =>
      this.#consent.gate(candidate)?.then((consented) => {
        if (consented === digest) return
        throw barred('DENIED', `its origin names another digest by this tag, ${consented}`)
      })
  }

  async #probe(candidate: Candidate, signal: AbortSignal, line: Ticket): Promise<Probe> {
    const credentials = this.#options.credentials(candidate)
    return {
      candidate,
      credentials: await before(line, 'for credentials', credentials),
      signal,
      ticket: this.#urgent(line),
      observe: this.#record.observer(candidate),
    }
  }

  #urgent(ticket: Ticket): Ticket {
    return { ...ticket, urgent: this.#options.urgent }
  }

  #askable(): readonly Candidate[] {
    const byDigest = this.#question.reference.digest !== undefined
    return this.#candidates.filter((candidate) => byDigest || resolvesTags(candidate))
  }

  #shared() {
    const { clock, limits, signal } = this.#options
    return { clock, limits, signal, record: this.#record, gate: this.#consent.gate }
  }

  /**
   * A tag that leads elsewhere at another registry is as good as absent there: never merged. Nobody is
   * sent to one that needs the origin's consent and may not have it.
   */
  #standing(candidate: Candidate, digest: string): Standing {
    const { answers } = this.#record
    const named = answers.get(candidate)?.digest ?? this.#record.namedBy(candidate)
    if (named !== undefined) return named === digest ? 'verified' : 'refuted'
    if (needsConsent(candidate)) return 'refuted'
    return UNDECIDED.has(this.#record.outcome(candidate)) ? 'assumed' : 'refuted'
  }
}
