import type { Matcher, RE2JS } from 're2js'
import { messageOf, ResolveError } from '../../errors.ts'
import { isFields } from '../../json.ts'
import { quote } from '../../reference/quote.ts'
import type { RepositoryRewrite } from '../../registry/entry.ts'

const MAX_RULES = 64
const MAX_LENGTH = 1_000
/** `$1`, `${name}`, `$$`: Go, regexp.Expand. */
const TEMPLATE_SIGN = /\$(?:\$|(?<plain>[\p{L}\p{Nd}_]+)|\{(?<braced>[\p{L}\p{Nd}_]+)\})/gu

interface Rule {
  readonly expression: string
  readonly pattern: RE2JS
  readonly template: string
}

/**
 * Reads a `[host."URL".rewrite]` table, as k3s and rke2 write it (docs.k3s.io, "Private Registry
 * Configuration", Rewrites): Go regular expressions, each with what replaces its matches in the path
 * of a repository. The first rule that changes the path is the one that counts.
 *
 * @param path of the table, for messages
 * @throws ResolveError CONFIG_INVALID for what is no such table, or no such expression
 */
export async function parseRewrite(value: unknown, path: string): Promise<RepositoryRewrite> {
  if (!isFields(value)) {
    throw invalid(path, 'expected a table of regular expressions and what replaces them')
  }
  const table = Object.entries(value)
  if (table.length > MAX_RULES) throw invalid(path, `more than ${MAX_RULES} rules`)
  // Linear in the length of the text, as Go's: the names that are matched are not trusted.
  const { RE2JS } = await import('re2js')
  const compiled = table.map(([expression, template]): Rule => {
    const name = `${path}.${quote(expression)}`
    if (typeof template !== 'string') throw invalid(name, 'expected text')
    if (expression.length + template.length > MAX_LENGTH) {
      throw invalid(path, `a rule longer than ${MAX_LENGTH} characters`)
    }
    try {
      return { expression, template, pattern: RE2JS.compile(expression) }
    } catch (thrown) {
      throw invalid(name, `not a Go regular expression: ${messageOf(thrown)}`)
    }
  })
  return {
    rules: compiled.map(({ expression, template }) => [expression, template]),
    // containerd goes through the rules in a random order, so that two that differ name no image.
    apply(repository) {
      const changed = new Set(compiled.map((rule) => rewritten(repository, rule)))
      changed.delete(repository)
      return changed.size > 1 ? undefined : ([...changed][0] ?? repository)
    },
  }
}

/**
 * Replaces every match as Go's ReplaceAllString does: an empty match right behind another one is none,
 * so that `(.*)` matches once.
 */
function rewritten(path: string, { pattern, template }: Rule): string {
  const match = pattern.matcher(path)
  let result = ''
  let done = 0
  let isFirst = true
  while (match.find()) {
    const [start, end] = [match.start(), match.end()]
    if (start === end && start === done && !isFirst) continue
    result += path.slice(done, start) + expand(template, match, pattern)
    done = end
    isFirst = false
  }
  return result + path.slice(done)
}

/** A group that is not there, or did not take part, is empty. */
function expand(template: string, match: Matcher, pattern: RE2JS): string {
  const named = pattern.namedGroups()
  return template.replace(TEMPLATE_SIGN, (sign, plain?: string, braced?: string) => {
    if (sign === '$$') return '$'
    const name = plain ?? braced ?? ''
    const index = /^(?:0|[1-9]\d{0,7})$/.test(name) ? Number(name) : (named[name] ?? -1)
    return index < 0 || index > pattern.groupCount() ? '' : (match.group(index) ?? '')
  })
}

function invalid(path: string, problem: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', `${path}: ${problem}`)
}
