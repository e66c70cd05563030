import { isIPv6 } from 'node:net'
import type { NameServer } from '../dns/name-server.ts'
import { parseAddress } from '../net/address.ts'
import { parseHostname } from '../net/hostname.ts'
import type { Address } from '../net/types.ts'
import { isContiguous } from './marks.ts'
import type { SmtpConfig } from './model.ts'
import type { Refused } from './parsed.ts'

const HOST_PORT = /^(?:\[([^\]]+)\]|([^:[\]]*)):([0-9]{1,5})$/
const INTERFACE = /^[A-Za-z0-9_.-]{1,15}$/
const NETWORK = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/
const RATE = /^([1-9][0-9]{0,6})\/(second|minute|hour|day)$/

/** `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464`. */
export function parseListen(text: string): { readonly host: string; readonly port: number } | Refused {
  const parsed = splitHostPort(text)
  const host =
    parsed === undefined ? undefined : parsed.host === 'localhost' ? 'localhost' : parseAddress(parsed.host)
  if (parsed === undefined || host === undefined) {
    return {
      reason: `"${text}" is no address to listen on: write address:port, like 127.0.0.1:9464 or [::1]:9464`,
    }
  }
  if (parsed.port < 1 || parsed.port > 65535) return { reason: `"${text}": ports go from 1 to 65535` }
  return { host, port: parsed.port }
}

/** `9.9.9.9`, `9.9.9.9:5353`, `2620:fe::fe`, `[2620:fe::fe]:5353`, `tls://9.9.9.9#dns.example` or `tls://[2620:fe::fe]:853#dns.example`. */
export function parseNameServer(text: string): { readonly server: NameServer } | Refused {
  const overTls = /^tls:\/\/([^#]*)(?:#(.*))?$/s.exec(text)
  const found = readServer(overTls?.[1] ?? text)
  if ('reason' in found) return found
  const { address, port } = found
  if (overTls === null) return { server: { kind: 'plain', host: address, port: port ?? 53 } }
  const name = overTls[2]
  if (name === undefined || name === '')
    return {
      reason: `"${text}" lacks the name in the certificate: write ${text.replace(/#$/, '')}#dns.example.com`,
    }
  const parsed = parseHostname(name)
  if ('reason' in parsed) return parsed
  return { server: { kind: 'tls', host: address, port: port ?? 853, name: parsed.hostname } }
}

function readServer(
  text: string,
): { readonly address: Address; readonly port: number | undefined } | Refused {
  const bare = parseAddress(text)
  if (bare !== undefined) return { address: bare, port: undefined }
  const parsed = splitHostPort(text)
  const address = parsed === undefined ? undefined : parseAddress(parsed.host)
  if (parsed === undefined || address === undefined) {
    return { reason: `"${text}" is no name server: write an address, address:port or [v6]:port` }
  }
  if (parsed.port < 1 || parsed.port > 65535) return { reason: `"${text}": ports go from 1 to 65535` }
  return { address, port: parsed.port }
}

/** `5/minute`. */
export function parseRate(text: string): { readonly rate: SmtpConfig['rate'] } | Refused {
  const match = RATE.exec(text)
  const per = match?.[2]
  if (per !== 'second' && per !== 'minute' && per !== 'hour' && per !== 'day') {
    return { reason: `"${text}" is no rate: write 5/minute (or /second, /hour, /day)` }
  }
  const count = Number(match?.[1])
  if (count > 10_000)
    return { reason: `"${text}": more than 10000 is beyond what the kernel's hashlimit counts` }
  return { rate: { count, per } }
}

/** An interface name that the kernel takes and that is no pattern to iptables; a trailing `*` stands for any ending. */
export function parseInterfacePattern(text: string): { readonly name: string } | Refused {
  const name = text.endsWith('*') ? text.slice(0, -1) : text
  if (!INTERFACE.test(name) || name === '.' || name === '..') {
    return {
      reason: `"${text}" is no interface name: 1 to 15 of letters, digits, _ . - and at most one * at the end`,
    }
  }
  return { name: text }
}

/** The name of a Docker network, in the engine's own grammar. */
export function parseNetworkName(text: string): { readonly name: string } | Refused {
  if (NETWORK.test(text)) return { name: text }
  return { reason: `"${text}" is no Docker network name: letters, digits, _ . - and a letter or digit first` }
}

export function parseAbsolutePath(text: string): { readonly path: string } | Refused {
  const clean = text.startsWith('/') && !/[\p{Cc}]/u.test(text) && !text.split('/').includes('..')
  if (!clean || text.length > 1024)
    return { reason: `"${text}" is no absolute path: it starts with / and has no ".." in it` }
  return { path: text.length > 1 ? text.replace(/\/+$/, '') : text }
}

/** Exactly one bit of 32. */
/** Bits of 32 that stand side by side. */
export const isMask = (value: number): boolean =>
  Number.isInteger(value) && value >= 1 && value < 2 ** 32 && isContiguous(value)

export const isOneBit = (value: number): boolean =>
  Number.isInteger(value) && value >= 1 && value <= 2 ** 31 && Number.isInteger(Math.log2(value))

function splitHostPort(text: string): { host: string; port: number } | undefined {
  const match = HOST_PORT.exec(text)
  if (match === null) return undefined
  const [, bracketed, plain, port] = match
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined
  return { host: bracketed ?? plain ?? '', port: Number(port) }
}
