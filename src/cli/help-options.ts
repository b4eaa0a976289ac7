/** Lines that the help of many commands shares. */
export const CONFIG = `  -f, --config FILE       the service's configuration; default: /etc/image-resolver.yaml, else
                          /etc/image-cri-shim.yaml, else the built-in defaults`

export const PORTOSHIM = `      --portoshim FILE    a portoshim.yaml whose registries count too; default: the one that
                          the configuration names`

export const WRONG = '  2  wrong use, or a configuration that cannot be used'
