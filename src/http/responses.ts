/** What every route may answer with, for the document that describes them. */
export const COMMON_PROBLEMS = {
  400: problem('The request itself is wrong; the message names what.'),
  401: problem('A token is needed, and this one is wrong or missing.'),
  429: withRetryAfter(problem('Too many requests.')),
  500: problem('A fault of the service itself.'),
}

/** Of a GET with an ETag in the answer. */
export const NOT_MODIFIED = {
  304: { type: 'null', description: 'Nothing has changed (`If-None-Match`).' },
}

export function problem(description: string) {
  return { $ref: 'ErrorResponse#', description }
}

export function withRetryAfter<T extends object>(response: T) {
  return {
    ...response,
    headers: {
      'Retry-After': { type: 'integer', description: 'Seconds to wait before asking again.' },
    },
  }
}

export function answer(component: string, description: string) {
  return { $ref: `${component}#`, description }
}

/** Anything but JSON. */
export function content(type: string, schema: object, description: string) {
  return { description, content: { [type]: { schema } } }
}

/** For `security` of a route; without it a token is asked for where other machines can listen. */
export const TOKEN_NEEDED = [{ token: [] }]
export const NO_TOKEN = [{}]
