import type { Logger } from '../telemetry/log.ts'

/** The first descriptor that systemd hands down (sd_listen_fds(3)). */
const FIRST_FD = 3
const MOST_FDS = 64

/** Sockets that listen already when the service starts, by the server they are for. */
export interface HandedDown {
  readonly cri?: number
  readonly http?: number
  /** Names of those that no server is for. */
  readonly unused: readonly string[]
}

/**
 * Takes what a socket unit left in the environment: `LISTEN_PID`, `LISTEN_FDS` and, with
 * `FileDescriptorName=`, `LISTEN_FDNAMES`. The one called `http` is for HTTP, the first other one for CRI.
 * The variables are removed, so that no child takes them for its own.
 */
export function takeListenFds(env: NodeJS.ProcessEnv, pid: number): HandedDown {
  const { LISTEN_PID: owner, LISTEN_FDS: digits, LISTEN_FDNAMES: names = '' } = env
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name]
  const count = /^\d{1,3}$/.test(digits ?? '') ? Number(digits) : 0
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

const PROGRAM = 'systemd-notify'
/** One message is a datagram; a helper that takes longer is not worth waiting for. */
const SEND_LIMIT_MS = 5_000
const MOST_STATUS_CHARACTERS = 500

/** Messages to the service manager (sd_notify(3)); none where NOTIFY_SOCKET is not set. */
export interface Notifier {
  /** Starts the watchdog, too. @param status one line for `systemctl status` */
  ready(status: string): Promise<void>
  /** Runs the work, and says so before and after. */
  reloading(work: () => Promise<void>): Promise<void>
  /** The last message. */
  stopping(): Promise<void>
}

interface NotifierOptions {
  readonly env: NodeJS.ProcessEnv
  readonly pid: number
  readonly log: Pick<Logger, 'warn'>
  /** Sends assignments such as `READY=1` in one message. */
  readonly send?: (socket: string, assignments: readonly string[]) => Promise<void>
  /** CLOCK_MONOTONIC. */
  readonly nowMicroseconds?: () => bigint
}

/**
 * `NOTIFY_SOCKET` is a datagram socket, of which Node knows nothing, so the messages go by systemd's
 * own `systemd-notify`: a short-lived child, which the unit allows with `NotifyAccess=all`. One after
 * the other, since their order means something. The watchdog is fed from this process' event loop, at
 * half of `WATCHDOG_USEC`: when the loop hangs, the feeding ends.
 */
export function createNotifier(options: NotifierOptions): Notifier {
  const { env, pid, log, send = sendBySystemd } = options
  const { nowMicroseconds = () => process.hrtime.bigint() / 1000n } = options
  const socket = env['NOTIFY_SOCKET']
  const intervalMs = watchdogMs(env, pid) / 2
  // No child of ours has anything to tell.
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  let last = Promise.resolve()
  let watchdog: NodeJS.Timeout | undefined
  let isBroken = false
  let state: 'starting' | 'ready' | 'stopping' = 'starting'

  function tell(...assignments: readonly string[]): Promise<void> {
    if (socket === undefined || socket === '') return Promise.resolve()
    last = last.then(() =>
      send(socket, assignments).catch((err: unknown) => {
        if (!isBroken) log.warn({ err }, 'the service manager could not be told')
        isBroken = true
      }),
    )
    return last
  }

  return {
    ready: (status) => {
      if (state === 'stopping') return Promise.resolve()
      state = 'ready'
      if (Number.isFinite(intervalMs)) {
        watchdog ??= setInterval(() => void tell('WATCHDOG=1'), intervalMs).unref()
      }
      const line = status.replaceAll(/\s+/g, ' ').slice(0, MOST_STATUS_CHARACTERS)
      return tell('READY=1', `STATUS=${line}`)
    },
    reloading: async (work) => {
      // Before that, READY=1 would say that the servers are open.
      const isTold = state === 'ready'
      if (isTold) await tell('RELOADING=1', `MONOTONIC_USEC=${nowMicroseconds()}`)
      await work()
      if (isTold && state === 'ready') await tell('READY=1')
    },
    stopping: () => {
      state = 'stopping'
      clearInterval(watchdog)
      return tell('STOPPING=1', 'STATUS=ending')
    },
  }
}

/** Infinity: there is no watchdog. */
function watchdogMs(env: NodeJS.ProcessEnv, pid: number): number {
  const { WATCHDOG_USEC: digits, WATCHDOG_PID: watched = String(pid) } = env
  const ms = /^\d+$/.test(digits ?? '') ? Number(digits) / 1000 : 0
  return ms >= 1 && watched === String(pid) ? ms : Number.POSITIVE_INFINITY
}

async function sendBySystemd(socket: string, assignments: readonly string[]): Promise<void> {
  const { execFile } = await import('node:child_process')
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env['PATH'], NOTIFY_SOCKET: socket }
    const limits = { env, timeout: SEND_LIMIT_MS }
    execFile(PROGRAM, [...assignments], limits, (error) =>
      error === null ? resolve() : reject(error),
    )
  })
}
