/** The domain that references to Docker Hub carry. */
export const DOCKER_HUB = 'docker.io'

/** The host that answers for Docker Hub. */
export const DOCKER_HUB_HOST = 'registry-1.docker.io'

/**
 * All names of Docker Hub. index.docker.io is the key of Docker's own files,
 * registry.hub.docker.com answers the distribution API too (moby/moby, registry/config.go;
 * docker/hub-feedback#1636), and hub.docker.com is the address of its pages, which people copy.
 */
const DOCKER_HUB_NAMES: ReadonlySet<string> = new Set([
  DOCKER_HUB,
  'index.docker.io',
  DOCKER_HUB_HOST,
  'registry.hub.docker.com',
  'hub.docker.com',
])

/**
 * Registries with many tenants on one host, where any tenant can own the path of a private image
 * (dependency confusion). `*` is a part of one label, `**.` one label or more before the rest. Hosts
 * that belong to one tenant are private and not here: ACCOUNT.dkr.ecr.REGION.amazonaws.com,
 * NAME.azurecr.io, NAME.jfrog.io, NAME-registry.REGION.cr.aliyuncs.com, NAME.tencentcloudcr.com,
 * NAME.swr-pro.myhuaweicloud.com.
 */
const MANY_TENANTS: readonly string[] = [
  ...DOCKER_HUB_NAMES,
  'quay.io',
  // cloud.google.com/artifact-registry/docs/docker/names: HOST/PROJECT/REPOSITORY
  'gcr.io',
  '**.gcr.io',
  '**.pkg.dev',
  'ghcr.io',
  'docker.pkg.github.com',
  'registry.gitlab.com',
  'codeberg.org',
  'registry.k8s.io',
  'mcr.microsoft.com',
  // docs.aws.amazon.com/AmazonECR/latest/public
  'public.ecr.aws',
  'ecr-public.aws.com',
  'lscr.io',
  // docs.docker.com/dhi: Docker Hardened Images
  'dhi.io',
  // docs.upbound.io: xpkg.upbound.io/ORGANIZATION/PACKAGE
  'xpkg.upbound.io',
  'registry.ollama.ai',
  'projects.registry.vmware.com',
  'nvcr.io',
  'docker.elastic.co',
  'registry.access.redhat.com',
  'registry.connect.redhat.com',
  'registry.redhat.io',
  'registry.suse.com',
  'registry.opensuse.org',
  'registry.fedoraproject.org',
  'registry.centos.org',
  'cgr.dev',
  'ttl.sh',
  'docker.cloudsmith.io',
  'registry.heroku.com',
  'registry.fly.io',
  // docs.oracle.com, "Preparing for Container Registry": REGION.ocir.io/TENANCY
  'container-registry.oracle.com',
  '*.ocir.io',
  'ocir.*.oci.oraclecloud.com',
  // cloud.ibm.com/docs/Registry: REGION.icr.io/NAMESPACE, private.REGION.icr.io
  'icr.io',
  '**.icr.io',
  // docs.digitalocean.com/products/container-registry: one host, REGISTRY as the first component
  'registry.digitalocean.com',
  // scaleway.com/en/docs/container-registry: rg.REGION.scw.cloud/NAMESPACE
  'rg.*.scw.cloud',
  'cr.yandex',
  '*.vultrcr.com',
  // help.aliyun.com/product/60716.html, personal edition: registry[-vpc|-internal].REGION.aliyuncs.com/NAMESPACE
  'registry.aliyuncs.com',
  'registry.*.aliyuncs.com',
  'registry-vpc.*.aliyuncs.com',
  'registry-internal.*.aliyuncs.com',
  // support.huaweicloud.com/swr: swr.REGION.myhuaweicloud.com/ORGANIZATION
  'swr.*.myhuaweicloud.com',
  // cloud.tencent.com/document/product/1141, personal edition: ccr, hkccr, sgccr and others
  '*ccr.ccs.tencentyun.com',
  'ccr.ccs.tencentyun.com',
  'hub.baidubce.com',
  'registry.baidubce.com',
  'hub.c.163.com',
  'daocloud.io',
  '**.daocloud.io',
]

/**
 * Public mirrors, and the registry that each one is a mirror of. Sources: each operator's page, the
 * lists of y0ngb1n/dockerized (github.com) and docker-practice, and for mirror.gcr.io
 * cloud.google.com/artifact-registry/docs/pull-cached-dockerhub-images.
 */
const PUBLIC_MIRRORS: readonly (readonly [pattern: string, of: string])[] = [
  ['mirror.gcr.io', DOCKER_HUB],
  ['*.mirror.aliyuncs.com', DOCKER_HUB],
  ['*.mirror.swr.myhuaweicloud.com', DOCKER_HUB],
  ['mirror.ccs.tencentyun.com', DOCKER_HUB],
  ['mirror.baidubce.com', DOCKER_HUB],
  ['hub-mirror.c.163.com', DOCKER_HUB],
  ['reg-mirror.qiniu.com', DOCKER_HUB],
  ['registry.docker-cn.com', DOCKER_HUB],
  ['mirror.iscas.ac.cn', DOCKER_HUB],
  ['dockerproxy.com', DOCKER_HUB],
  ['dockerproxy.net', DOCKER_HUB],
  ['dockerproxy.cn', DOCKER_HUB],
  ['dockerpull.com', DOCKER_HUB],
  ['dockerpull.org', DOCKER_HUB],
  ['dockerpull.cn', DOCKER_HUB],
  ['dockerhub.icu', DOCKER_HUB],
  ['hub.rat.dev', DOCKER_HUB],
  ['docker.1panel.live', DOCKER_HUB],
  ['docker.xuanyuan.me', DOCKER_HUB],
  ['docker.rainbond.cc', DOCKER_HUB],
  ['docker.hlmirror.com', DOCKER_HUB],
  ['docker.unsee.tech', DOCKER_HUB],
  ['lank8s.cn', 'registry.k8s.io'],
]

/** Operators with one host for each registry, named by its first label: ghcr.m.daocloud.io. */
const MIRROR_OPERATORS: readonly string[] = [
  // github.com/DaoCloud/public-image-mirror
  'm.daocloud.io',
  'dockerproxy.com',
  'dockerproxy.net',
  'mirrors.ustc.edu.cn',
  'mirrors.sjtug.sjtu.edu.cn',
  'nju.edu.cn',
  'azk8s.cn',
  'kubesre.xyz',
  '1ms.run',
]

const OF_FIRST_LABEL: Readonly<Record<string, string>> = {
  docker: DOCKER_HUB,
  dockerhub: DOCKER_HUB,
  elastic: 'docker.elastic.co',
  gcr: 'gcr.io',
  ghcr: 'ghcr.io',
  k8s: 'registry.k8s.io',
  'k8s-gcr': 'k8s.gcr.io',
  mcr: 'mcr.microsoft.com',
  nvcr: 'nvcr.io',
  quay: 'quay.io',
}

const GLOB_SIGNS: Readonly<Record<string, string>> = {
  '**.': '(?:[^.:]+\\.)+',
  '*': '[^.:]+',
  '.': '\\.',
}
const DEFAULT_PORT = /:(?:443|80)$/
const HTTPS_PORT = ':443'
const MANY_TENANTS_HOST = hostPattern(MANY_TENANTS)
/** Most hosts are no mirror: one test in place of one for each. */
const ANY_MIRROR_HOST = hostPattern(PUBLIC_MIRRORS.map(([pattern]) => pattern))
const MIRROR_HOSTS = PUBLIC_MIRRORS.map(([pattern, of]) => [hostPattern([pattern]), of] as const)

/**
 * Whether a host (with or without its port) is a well-known public registry or mirror. Those are asked for
 * the images of other registries only by `upstreams`.
 */
export function isPublicRegistry(host: string): boolean {
  return MANY_TENANTS_HOST.test(portless(host)) || publicMirrorOf(host) !== undefined
}

/** The registry that a host is a well-known public mirror of; undefined: it is none. */
export function publicMirrorOf(host: string): string | undefined {
  const name = portless(host)
  const [label = ''] = name.split('.', 1)
  if (
    MIRROR_OPERATORS.includes(name.slice(label.length + 1)) &&
    Object.hasOwn(OF_FIRST_LABEL, label)
  ) {
    return OF_FIRST_LABEL[label]
  }
  if (!ANY_MIRROR_HOST.test(name)) return undefined
  return MIRROR_HOSTS.find(([pattern]) => pattern.test(name))?.[1]
}

/**
 * One spelling for a registry's domain: lower case, every name of Docker Hub is docker.io, and public
 * registries go without the port of https.
 */
export function canonicalDomain(domain: string): string {
  const name = domain.toLowerCase()
  if (DOCKER_HUB_NAMES.has(portless(name))) return DOCKER_HUB
  return name.endsWith(HTTPS_PORT) && isPublicRegistry(name)
    ? name.slice(0, -HTTPS_PORT.length)
    : name
}

/** Whether two domains (or hosts) are names of one registry. */
export function sameDomain(one: string, other: string): boolean {
  return canonicalDomain(one) === canonicalDomain(other)
}

function portless(host: string): string {
  return host.toLowerCase().replace(DEFAULT_PORT, '')
}

function hostPattern(globs: readonly string[]): RegExp {
  const sources = globs.map((glob) =>
    glob.replace(/^\*\*\.|\*|\./g, (sign) => GLOB_SIGNS[sign] ?? sign),
  )
  return new RegExp(`^(?:${sources.join('|')})$`)
}
