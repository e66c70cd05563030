import { readFile } from 'node:fs/promises'
import { bytesOf } from '../net/address.ts'
import { familyOf, type Address, type Family } from '../net/types.ts'
import type { Run } from '../system/exec.ts'
import type { Sighting } from './table.ts'

/**
 * How a probe comes to the host. `gateway`: as packets do that are routed. The others are ways past a verdict about the destination: a frame to an
 * address that bridges hand to the host by themselves, a frame to another port of the bridge, an ICMP error about a connection of the host.
 */
export type ProbeWay = 'gateway' | 'reserved' | 'bridged' | 'error'

export const RESERVED_MAC = '01:80:c2:00:00:0e'

/** The words of a finding, and what is wrong with what was seen. Undefined: nothing is. */
export const WAYS: Readonly<
  Record<
    Exclude<ProbeWay, 'gateway'>,
    { readonly words: string; readonly wrong: (seen: Sighting) => string | undefined }
  >
> = {
  reserved: {
    words: 'a frame to a reserved address is stopped',
    wrong: ({ behindRules }) =>
      behindRules > 0 ? 'a frame to a reserved address reached the host' : undefined,
  },
  bridged: {
    words: 'a bridged packet admits no connection',
    wrong: ({ admitted }) => (admitted > 0 ? 'a bridged packet admitted its connection' : undefined),
  },
  error: {
    words: 'an ICMP error about a connection of the host is stopped by the rules',
    wrong: ({ behindRules, atUplink }) =>
      behindRules + atUplink > 0
        ? 'an ICMP error about a connection of the host passed the rules'
        : undefined,
  },
}

/** What is sent by the gateway, and by every other way, in a trial. `reply`: what gets behind the rules where nothing is allowed. */
export const ROLES = ['forbidden', 'allowed', 'disapproved', 'reply', 'reserved', 'bridged', 'error'] as const
export type Role = (typeof ROLES)[number]

export const isWay = (role: Role): role is keyof typeof WAYS => role in WAYS

/** The families in which frames that are bridged pass the rules (br_netfilter). In others there is nothing to try. */
export async function bridgedFramesAreJudged(): Promise<ReadonlySet<Family>> {
  const isOn = (name: string): Promise<boolean> =>
    readFile(`/proc/sys/net/bridge/${name}`, 'utf8').then(
      (text) => text.trim() === '1',
      () => false,
    )
  const [four, six] = await Promise.all([isOn('bridge-nf-call-iptables'), isOn('bridge-nf-call-ip6tables')])
  return new Set<Family>([...(four ? [4 as const] : []), ...(six ? [6 as const] : [])])
}

/** A connection that does not exist: of the host, for an error to quote, or to a container, for it to reply to. */
export interface Pretended {
  readonly from: Address
  readonly fromPort: number
  readonly to: Address
  readonly toPort: number
}

/** It is of no use after the proof, and gone soon after it. */
const PRETENDED_SECONDS = 10

/** Makes the kernel believe that there is this connection: nothing is sent. */
export async function enterConnection(run: Run, { from, fromPort, to, toPort }: Pretended): Promise<void> {
  const tuple = ['-s', from, '-d', to, '-p', 'udp', '--sport', `${fromPort}`, '--dport', `${toPort}`]
  // It may still be there from the last proof.
  await run(['conntrack', '-I', ...tuple, '-t', `${PRETENDED_SECONDS}`, '-u', 'SEEN_REPLY'], {
    okExitCodes: [1],
  })
}

/** The beginning of a reply to the host, as an error quotes it. */
export function quoteOf({ from: host, fromPort, to: peer, toPort }: Pretended): Buffer {
  const port = (value: number): number[] => [value >> 8, value & 0xff]
  const udp = Buffer.from([...port(toPort), ...port(fromPort), 0, 8, 0, 0])
  const [from, to] = [bytesOf(peer), bytesOf(host)]
  const header: Readonly<Record<Family, readonly number[]>> = {
    4: [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0],
    6: [0x60, 0, 0, 0, 0, 8, 17, 64],
  }
  return Buffer.concat([Buffer.from([...header[familyOf(host)], ...from, ...to]), udp])
}
