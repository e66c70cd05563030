import { isIP } from 'node:net'
import { parseCidr } from '../net/cidr.ts'
import { parseHostname } from '../net/hostname.ts'
import { parsePorts } from '../net/ports.ts'
import type { PortList } from '../net/types.ts'
import type { AllowTarget } from './model.ts'
import { parseWildcard } from './wildcard.ts'
import type { Refused } from './parsed.ts'

export const DEFAULT_PORTS: PortList = {
  text: '80/tcp,443/tcp',
  specs: [
    { protocol: 'tcp', from: 80, to: 80 },
    { protocol: 'tcp', from: 443, to: 443 },
  ],
}

/** `host`, `*.host`, `**.host`, `host:443`, `host:443/tcp`, `198.51.100.7`, `198.51.100.0/24:8000-8100/tcp`, `2001:db8::/32`, `[2001:db8::1]:443`. */
export function parseShorthand(
  text: string,
): { readonly target: AllowTarget; readonly ports: PortList } | Refused {
  const { host, ports: portText } = splitPorts(text)
  const target = parseTarget(host)
  if ('reason' in target) return target
  if (portText === undefined) return { target: target.target, ports: DEFAULT_PORTS }
  if (portText === '')
    return {
      reason: `"${text}" ends in a colon: write the port, or leave out the colon for 80/tcp and 443/tcp`,
    }
  const ports = parsePorts(portText)
  return 'reason' in ports ? ports : { target: target.target, ports: ports.ports }
}

/** A name, a wildcard, an address or a network, without ports. */
export function parseTarget(text: string): { readonly target: AllowTarget } | Refused {
  if (looksNumeric(text)) {
    const parsed = parseCidr(text)
    return 'reason' in parsed ? parsed : { target: { kind: 'cidr', cidr: parsed.cidr } }
  }
  return parseDomain(text)
}

/** A name or a wildcard. */
export function parseDomain(text: string): { readonly target: AllowTarget } | Refused {
  if (text.includes('://'))
    return { reason: `"${text}" is a URL: write the host name alone, with the port behind a colon` }
  if (text.includes('*')) return parseWildcard(text)
  const parsed = parseHostname(text)
  return 'reason' in parsed ? parsed : { target: { kind: 'domain', name: parsed.hostname } }
}

/** A network or an address. */
export function parseNetwork(text: string): { readonly target: AllowTarget } | Refused {
  const parsed = parseCidr(text)
  return 'reason' in parsed ? parsed : { target: { kind: 'cidr', cidr: parsed.cidr } }
}

/** As {@link parseShorthand} reads it: brackets hold IPv6; text with more than one colon is IPv6 without a port. */
function splitPorts(text: string): { host: string; ports: string | undefined } {
  const bracketed = /^\[([^\]]*)\](\/[0-9]+)?(?::(.*))?$/s.exec(text)
  if (bracketed !== null) return { host: `${bracketed[1] ?? ''}${bracketed[2] ?? ''}`, ports: bracketed[3] }
  const colon = text.indexOf(':')
  if (colon < 0 || text.includes('://') || text.includes(':', colon + 1))
    return { host: text, ports: undefined }
  return { host: text.slice(0, colon), ports: text.slice(colon + 1) }
}

/** Meant as an address or a network: the fault to report is then the network parser's. */
const looksNumeric = (text: string): boolean =>
  isIP(text) !== 0 ||
  /^[0-9.]+\/[0-9]*$/.test(text) ||
  (text.includes(':') && /^[0-9a-f:.]+(\/[0-9]*)?$/i.test(text))
