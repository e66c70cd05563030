/** Why a question got no answer. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'

  constructor(
    /** `timeout`: silence; `unreachable`: a socket failed; `malformed`: what came was no answer; `not-sent`: the client is closed, overloaded or knows no server. */
    readonly kind: 'timeout' | 'unreachable' | 'malformed' | 'not-sent',
    message: string,
  ) {
    super(message)
  }
}
