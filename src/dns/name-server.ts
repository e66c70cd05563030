/** A name server, and how it is asked. */
export interface NameServer {
  /** `plain`: UDP, and TCP where an answer does not fit; `tls`: DNS over TLS alone (RFC 7858). */
  readonly kind: 'plain' | 'tls'
  /** An IP address. */
  readonly host: string
  readonly port: number
  /** The name that its certificate has to bear; absent: its address. */
  readonly name?: string | undefined
}

/** As in the config: `192.0.2.1:53`, `[2001:db8::1]:53`, `tls://192.0.2.1:853#dns.example`. */
export function nameServerText({ kind, host, port, name }: NameServer): string {
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  if (kind === 'plain') return place
  return name === undefined ? `tls://${place}` : `tls://${place}#${name}`
}

/** The same servers in the same order. */
export const areSameServers = (some: readonly NameServer[], others: readonly NameServer[]): boolean =>
  some.map(nameServerText).join() === others.map(nameServerText).join()
