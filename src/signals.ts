/** What an operator or the service manager wants of a running daemon. */
export interface Signals {
  /** SIGTERM, SIGINT. */
  readonly onStop: (listener: () => void) => void
  /** SIGHUP. Without a listener it ends the process, as for any program. */
  readonly onReload: (listener: () => void) => void
  /** SIGURG: a file descriptor that was set up to send it has something to read. */
  readonly onReadable: (listener: () => void) => void
}
