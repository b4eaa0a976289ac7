/** The peer broke the rules in a way that a connection does not survive (RFC 9113, section 5.4.1). */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  /** As in GOAWAY (RFC 9113, section 7). */
  readonly code: number

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
