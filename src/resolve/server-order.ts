import type { ServerAddress } from './server-address.ts'

/** One server with what we remember of it. */
export interface RankedServer {
  readonly address: ServerAddress
  /** It refused a question with extended DNS once; it gets plain ones now. */
  plain: boolean
  /** Monotonic ms until which others go first; 0 for a server that answers. */
  silentUntilMs: number
}

/** How long a silent server stands behind the others before one look-up tries it again. */
const PENALTY_MS = 30_000

/** Whom to ask first. Only silence counts: SERVFAIL and REFUSED may be about the one name, and another server may not know it at all. */
export class ServerOrder {
  readonly #servers: readonly RankedServer[]

  constructor(addresses: readonly ServerAddress[]) {
    this.#servers = addresses.map((address) => ({ address, plain: false, silentUntilMs: 0 }))
  }

  /** The configured order, but those that were silent lately come last. A server whose time is over is tried by this one look-up only. */
  ranked(nowMs: number): readonly RankedServer[] {
    const first = this.#servers.filter((server) => server.silentUntilMs <= nowMs)
    if (first.length === this.#servers.length && first.every((server) => server.silentUntilMs === 0))
      return first
    for (const server of first) if (server.silentUntilMs > 0) server.silentUntilMs = nowMs + PENALTY_MS
    return [...first, ...this.#servers.filter((server) => !first.includes(server))]
  }

  answered(server: RankedServer): void {
    server.silentUntilMs = 0
  }

  silent(server: RankedServer, nowMs: number): void {
    server.silentUntilMs = nowMs + PENALTY_MS
  }
}
