/** Lines that the help of many commands shares. */
export const CONFIG = `  -f, --config FILE       the service's configuration; default: /etc/image-resolver.yaml, else
                          /etc/image-cri-shim.yaml, else the built-in defaults`

export const PORTOSHIM = `      --portoshim FILE    a portoshim.yaml whose registries count too; default: the one that
                          the configuration names`

export const WRONG = '  2  wrong use, or a configuration that cannot be used'

/** Exit codes that many commands share; the table is exit-codes.ts. */
export const MALFORMED = '  3  what was asked for is no reference, platform or name'
export const NOT_FOUND = '  4  not found: each registry that may have it was asked, and has none'
export const REFUSED =
  '  5  refused: credentials are missing or do not suffice, or it may not be asked'
export const UNREACHABLE =
  '  6  no answer: a registry, the service or the runtime is down, too slow or wants a pause'
