/** The daemon, or the way to it, says no. `exitCode` is what the command should end with. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
  constructor(
    message: string,
    readonly exitCode: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
