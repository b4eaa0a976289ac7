const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** As a process gives them. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
}

/**
 * The signal that tells the service to end. The second one, whichever it is, ends the process as if
 * we did not know it: at once.
 */
export function endSignal(signals: SignalSource): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const end = (signal: NodeJS.Signals): void => {
      for (const each of SIGNALS) signals.off(each, end)
      resolve(signal)
    }
    for (const each of SIGNALS) signals.on(each, end)
  })
}
