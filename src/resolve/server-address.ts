import { isIP } from 'node:net'

/** Where a name server listens. */
export interface ServerAddress {
  /** An IP literal; a link-local one may bear a zone (`fe80::1%eth0`). */
  readonly host: string
  readonly port: number
}

/** Parses `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`; undefined for anything else. */
export function parseServerAddress(text: string): ServerAddress | undefined {
  if (isIP(text) !== 0) return { host: text, port: 53 }
  const [, bracketed, plain, portText] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const port = Number(portText ?? 53)
  if (port < 1 || port > 65_535) return undefined
  if (bracketed !== undefined && isIP(bracketed) === 6) return { host: bracketed, port }
  if (plain !== undefined && isIP(plain) === 4) return { host: plain, port }
  return undefined
}
