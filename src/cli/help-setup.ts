import { CONFIG, PORTOSHIM, WRONG } from './help-options.ts'

export const CONFIG_GROUP = `Usage: image-resolver config check [options]

The configuration of the service.

  image-resolver config check                       is it usable, and what does it come to?

Options:
  --help after it shows its own.

Exit codes:
  0  usable
${WRONG}

Example:
  image-resolver config check
`

export const CONFIG_CHECK = `Usage: image-resolver config check [options]

Prints the effective configuration, every default filled in and secrets hidden, or every mistake
as FILE:LINE: field: message. Warnings, also about files that it names, go to standard error.

Options:
${CONFIG}
${PORTOSHIM}

Exit codes:
  0  usable, perhaps with warnings
${WRONG}

Example:
  image-resolver config check --config /etc/image-resolver.yaml
`

export const PARSE = `Usage: image-resolver parse [REF ...] [--json]

Takes references apart by the distribution grammar, asking nobody. Without REF it reads one
reference a line from standard input.

Options:
      --json              one JSON object a line:
                          {input, ok, error?, reference, domain, path, tag, digest, familiar}

Exit codes:
  0  all are references; with --json also when one is not
  2  wrong use
  3  one is no reference

Example:
  image-resolver parse nginx quay.io/team/app:1.2
`

export const SERVE = `Usage: image-resolver [serve] [options]

Runs the service until SIGTERM or SIGINT: the CRI shim on the socket \`shim:\`, in front of the
runtime at \`cri:\`, and the HTTP API on \`http.listen\`. Without a runtime it serves HTTP alone.
Logs are JSON lines on standard error.

Options:
${CONFIG}
${PORTOSHIM}

Exit codes:
  0  it was told to end
  1  it could not start, or a fault ended it
${WRONG}

Example:
  image-resolver --config /etc/image-resolver.yaml
`
