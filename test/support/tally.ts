import type { EventData, TestsStream } from 'node:test'

export interface Skipped {
  readonly file: string
  readonly name: string
  readonly reason: string
}

/** Counts tests, not the suites around them, over any number of runs. */
export class Tally {
  passed = 0
  failed = 0
  readonly skipped: Skipped[] = []
  /** Files that ended well with no test in them. */
  readonly empty: string[] = []

  count(stream: TestsStream): void {
    stream.on('test:pass', (data) => this.#pass(data))
    stream.on('test:fail', (data) => this.#fail(data))
  }

  #pass({ name, file = '', skip, todo, details }: EventData.TestPass): void {
    if (isSet(skip)) this.skipped.push({ file, name, reason: reasonOf(skip) })
    else if (isSet(todo)) this.skipped.push({ file, name, reason: `todo: ${reasonOf(todo)}` })
    else if (details.type === 'suite') return
    // node reports a file in which it found no test as one test, named by its path.
    else if (name === file) this.empty.push(file)
    else this.passed += 1
  }

  #fail({ name, file = '', todo, details }: EventData.TestFail): void {
    if (isSet(todo)) this.skipped.push({ file, name, reason: `todo: ${reasonOf(todo)}` })
    // A suite fails with its tests, which are counted, or in its own body, which is not.
    else if (details.type !== 'suite' || !isFailureOfChildren(details.error)) this.failed += 1
  }
}

function isSet(mark: string | boolean | undefined): mark is string | true {
  return mark !== undefined && mark !== false
}

function reasonOf(mark: string | true): string {
  return mark === true ? 'no reason given' : mark
}

function isFailureOfChildren(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed'
}
