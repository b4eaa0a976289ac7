import { Client, connectivityState, credentials } from '@grpc/grpc-js'

/** The largest message the kubelet and containerd accept. */
const MESSAGE_BYTES = 16 * 1024 * 1024

/** The connection to the runtime below us; all services on its socket share it. */
export interface RuntimeChannel {
  readonly client: Client
  /** Called each time an open connection is lost: another runtime may answer after that. */
  onLost(listener: () => void): void
  close(): void
}

/**
 * Connects at the first call. A call made while the runtime is away fails at once with
 * UNAVAILABLE, and the connection is back some quarter of a second after the runtime is.
 *
 * @param socketPath of the runtime's unix socket
 */
export function openRuntimeChannel(socketPath: string): RuntimeChannel {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MESSAGE_BYTES,
    'grpc.max_send_message_length': MESSAGE_BYTES,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 250,
    'grpc.use_local_subchannel_pool': 1,
  })
  const listeners: (() => void)[] = []
  watch(client, () => {
    for (const listener of listeners) listener()
  })
  return {
    client,
    onLost: (listener) => listeners.push(listener),
    close: () => client.close(),
  }
}

function watch(client: Client, lost: () => void): void {
  const channel = client.getChannel()
  const before = channel.getConnectivityState(false)
  if (before === connectivityState.SHUTDOWN) return
  channel.watchConnectivityState(before, Number.POSITIVE_INFINITY, () => {
    if (before === connectivityState.READY) lost()
    watch(client, lost)
  })
}
