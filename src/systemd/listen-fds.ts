/** The first descriptor that systemd hands down (sd_listen_fds(3)). */
const FIRST_FD = 3
const MOST_FDS = 64

/** Sockets that listen already when the service starts, by the door they are for. */
export interface HandedDown {
  readonly cri?: number
  readonly http?: number
  /** Names of those that no door is for. */
  readonly unused: readonly string[]
}

/**
 * Takes what a socket unit left in the environment: `LISTEN_PID`, `LISTEN_FDS` and, with
 * `FileDescriptorName=`, `LISTEN_FDNAMES`. The one called `http` is for HTTP, the first other one for CRI.
 * The variables are removed, so that no child takes them for its own.
 */
export function takeListenFds(env: NodeJS.ProcessEnv, pid: number): HandedDown {
  const { LISTEN_PID: owner, LISTEN_FDS: written, LISTEN_FDNAMES: names = '' } = env
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name]
  const count = /^\d{1,3}$/.test(written ?? '') ? Number(written) : 0
  if (owner !== String(pid) || count > MOST_FDS) return { unused: [] }
  const named = names.split(':')
  const sockets = Array.from({ length: count }, (_, index) => ({
    fd: FIRST_FD + index,
    name: named[index] ?? '',
  }))
  const http = sockets.find(({ name }) => name === 'http')
  const cri = sockets.find((socket) => socket !== http)
  return {
    ...(cri === undefined ? {} : { cri: cri.fd }),
    ...(http === undefined ? {} : { http: http.fd }),
    unused: sockets.filter((each) => each !== http && each !== cri).map(({ name }) => name),
  }
}
