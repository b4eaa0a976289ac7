import type { EventData, TestsStream } from 'node:test'

export interface Skipped {
  readonly file: string
  readonly name: string
  readonly reason: string
}

export interface Failed {
  readonly file: string
  readonly name: string
  /** Its first lines: what differs, or where it was thrown. */
  readonly message: string
}

/** Of an error; a message that prints a whole output would hide the others. */
const MAX_LINES = 12

/** Counts tests, not the suites around them, over any number of runs. */
export class TestCounts {
  passed = 0
  readonly failures: Failed[] = []
  readonly skipped: Skipped[] = []
  /** Processes that ended well with no test in them. */
  readonly empty: string[] = []
  /** How long the tests of a file took, ms; of all that call `test` for others, too. */
  readonly files = new Map<string, number>()

  count(stream: TestsStream): void {
    stream.on('test:pass', (data) => this.#pass(data))
    stream.on('test:fail', (data) => this.#fail(data))
  }

  #pass({ name, file = '', skip, todo, details, nesting }: EventData.TestPass): void {
    // node reports a process in which it found no test as one test, named by the path of its file.
    if (name === file) return void this.empty.push(file)
    this.#took(file, nesting, details.duration_ms)
    if (isSet(skip)) this.skipped.push({ file, name, reason: reasonOf(skip) })
    else if (isSet(todo)) this.skipped.push({ file, name, reason: `todo: ${reasonOf(todo)}` })
    else if (details.type === 'suite') return
    else this.passed += 1
  }

  /** A test within another is part of its time. */
  #took(file: string, nesting: number, ms: number): void {
    this.files.set(file, (this.files.get(file) ?? 0) + (nesting === 0 ? ms : 0))
  }

  #fail({ name, file = '', todo, details, nesting }: EventData.TestFail): void {
    this.#took(file, nesting, details.duration_ms)
    if (isSet(todo)) this.skipped.push({ file, name, reason: `todo: ${reasonOf(todo)}` })
    // A suite fails with its tests, which are counted, or in its own body, which is not.
    else if (details.type !== 'suite' || !isFailureOfChildren(details.error)) {
      this.failures.push({ file, name, message: messageOf(details.error) })
    }
  }
}

function isSet(mark: string | boolean | undefined): mark is string | true {
  return mark !== undefined && mark !== false
}

function reasonOf(mark: string | true): string {
  return mark === true ? 'no reason given' : mark
}

function messageOf({ cause, message, stack = message }: Error): string {
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : stack
  return text.split('\n').slice(0, MAX_LINES).join('\n')
}

function isFailureOfChildren(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed'
}
