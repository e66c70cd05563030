import { createHash } from 'node:crypto'
import type { Family, PortList } from '../net/types.ts'

/** Every chain of ours begins with it, no other does. */
export const CHAIN_PREFIX = 'EMBARGOD'
/** Every set of ours begins with it. */
export const SET_PREFIX = 'embargod-'
/** The nft table of the backstop, family inet. */
export const BACKSTOP_TABLE = 'embargod-guard'
/** Its twin, owned by the running daemon: flushing the whole ruleset does not touch it, and the kernel removes it with its owner. */
export const OWNED_TABLE = 'embargod-held'
/** The nft table that binds containers to their own addresses, family bridge. */
export const BINDINGS_TABLE = 'embargod-bindings'
/** The nft table that marks packets of containers on the host's network, family inet. */
export const HOST_NETWORK_TABLE = 'embargod-hostnet'
/** The nft table that marks packets of ports without rights, family bridge. It is owned by the running daemon. */
export const HOLD_TABLE = 'embargod-hold'
/** The ports that a proof puts into bridges. Their packets are never held. */
export const PROOF_PORTS = { near: 'vethe0b0', neighbour: 'vethe0b2' } as const
/** The queue in which held packets wait for the daemon. */
export const HOLD_QUEUE = 25_967
/**
 * The mark of a packet on its way from its port to that queue. Other bits of the mark hold a part of the number of the port. They are not the bits of the
 * class: should such a mark ever stay on a packet, the packet counts as of an unknown source.
 */
export const HELD_PACKET = 0x80000000
const PORT_SHIFT = 14
const PORT_MASK = 0x3fff
export const PORT_BITS = { shift: PORT_SHIFT, mask: PORT_MASK << PORT_SHIFT } as const
/** The part of a port's number that its packets bear. */
export const portNumber = (index: number): number => index & PORT_MASK
export const portOfMark = (mark: number): number => (mark >>> PORT_SHIFT) & PORT_MASK
/** The NFLOG group to which denied packets are copied. */
export const NFLOG_GROUP = 61

export const CHAIN = {
  forward: 'EMBARGOD',
  judge: 'EMBARGOD-JUDGE',
  reply: 'EMBARGOD-REPLY',
  verdict: 'EMBARGOD-VERDICT',
  linger: 'EMBARGOD-LINGER',
  input: 'EMBARGOD-INPUT',
  output: 'EMBARGOD-OUTPUT',
  host: 'EMBARGOD-HOST',
  raw: 'EMBARGOD-RAW',
  source: 'EMBARGOD-SOURCE',
  fresh: 'EMBARGOD-FRESH',
  hold: 'EMBARGOD-HOLD',
  unheld: 'EMBARGOD-UNHELD',
  published: 'EMBARGOD-PUBLISHED',
  dnat: 'EMBARGOD-DNAT',
  wrapped: 'EMBARGOD-WRAPPED',
  dns: 'EMBARGOD-DNS',
  nat: 'EMBARGOD-NAT',
  redirect: 'EMBARGOD-REDIRECT',
  gateway: 'EMBARGOD-GATEWAY',
  internet: 'EMBARGOD-INTERNET',
  ok: 'EMBARGOD-OK',
  pass: 'EMBARGOD-PASS',
  bridged: 'EMBARGOD-BRIDGED',
  error: 'EMBARGOD-ERROR',
  class: 'EMBARGOD-CLASS',
} as const

export const policyChain = (policy: string): string => `EMBARGOD-P-${policy.toUpperCase()}`

/** What containers of one combination of rights may do. */
export const classChain = (id: number): string => `EMBARGOD-C-${id}`
/** Sixteen numbers that follow each other are looked through together. */
export const classBlockChain = (block: number): string => `${CHAIN.class}-${block}`

export const DENY_REASONS = ['forged', 'revoked', 'metadata', 'never', 'smtp', 'policy'] as const
export type DenyReason = (typeof DENY_REASONS)[number]

/** `policy` distinguishes denials by policy; the other reasons hold for all. */
export const denyChain = (reason: DenyReason): string => `EMBARGOD-D-${reason.toUpperCase()}`
/** Where some are denied in another way than the rest. */
export const denyChainOf = (how: 'drop' | 'reject'): string => `${denyChain('policy')}-${how.toUpperCase()}`
export const deniedSet = (reason: DenyReason, family: Family): string =>
  `${SET_PREFIX}denied-${reason}-${family}`
export const revokedSet = (family: Family): string => `${SET_PREFIX}revoked-${family}`
export const lingerSet = (family: Family): string => `${SET_PREFIX}linger-${family}`

/** Addresses that the engine gave to containers. */
export const containersSet = (family: Family): string => `${SET_PREFIX}containers-${family}`

/** Holds every address as long as what was admitted may go on unjudged: until the next right ends. */
export const admittedSet = (family: Family): string => `${SET_PREFIX}admitted-${family}`

/** Holds every address as long as a config is on trial. */
export const trialSet = (family: Family): string => `${SET_PREFIX}trial-${family}`

/** A chain as it was before the trial. */
export const beforeTrialChain = (chain: string): string => `${CHAIN_PREFIX}-T-${shortHash(chain)}`

/** Ports of the host that lead to containers. */
export const publishedSet = (family: Family): string => `${SET_PREFIX}published-${family}`

/** Ports of containers that are published, by the containers' own addresses. */
export const servedSet = (family: Family): string => `${SET_PREFIX}served-${family}`

/** `embargod-<policy>-<ports' hash>-<family>`, at most 31 characters. */
export function allowSet(policy: string, ports: PortList, family: Family): string {
  return `${SET_PREFIX}${policy.slice(0, 12)}-${shortHash(`${policy} ${ports.text}`, 6)}-${family}`
}

/** Holds every address as long as a right to the whole internet lasts that ends by itself. */
export function internetSet(policy: string, ports: PortList, family: Family): string {
  return `${SET_PREFIX}${policy.slice(0, 12)}-${shortHash(`${policy} internet ${ports.text}`, 6)}-${family}`
}

export const shortHash = (text: string, length = 8): string =>
  createHash('sha256').update(text).digest('hex').slice(0, length)
