/** The daemon refuses, or cannot be asked. `exitCode` is what the command should end with. */
export class ControlError extends Error {
  override readonly name: string = 'ControlError'
  constructor(
    message: string,
    readonly exitCode: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

export const DOES_NOT_ANSWER = 'the daemon does not answer'

/** A daemon holds the socket but does not answer: its process is stopped, or its event loop is blocked. */
export class SilentDaemonError extends ControlError {
  override readonly name = 'SilentDaemonError'
  /** @param taken whether it had taken the request before it fell silent; one that it has not taken it will never carry out */
  constructor(readonly taken: boolean) {
    super(
      taken
        ? `${DOES_NOT_ANSWER} any more: it may still carry out the request when it goes on`
        : DOES_NOT_ANSWER,
      1,
    )
  }
}
