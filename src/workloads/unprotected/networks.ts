import type { HostInterface } from '../../system/host.ts'
import { isContainersEnd } from '../container-end.ts'
import { defaultBridgeAddress } from '../engine-config/default-bridge.ts'
import type { Unprotected } from '../model.ts'
import type { UnprotectedInput } from './input.ts'

export const unprotectedBridges = ({ interfaces, plan }: UnprotectedInput): Unprotected[] => {
  const guarded = new Set(plan.guarded.map((one) => one.bridge))
  const uplinks = interfaces
    .filter((one) => guarded.has(one.name))
    .flatMap((bridge) =>
      bridge.ports.filter((port) => !isContainersEnd(port)).map((port) => ({ bridge, port })),
    )
  return [
    ...plan.foreign.map((name): Unprotected => ({
      reason: 'foreign-bridge',
      subject: name,
      advice:
        "The bridge looks like a container network but is not the engine's: it is let through; list it in guard.ignoreInterfaces if that is right.",
    })),
    ...uplinks.map(({ bridge, port }): Unprotected => ({
      reason: 'bridge-uplink',
      subject: bridge.name,
      advice: `Its port ${port.name} is no container's, and what leaves by it is bridged past the rules: take the port off the bridge.`,
    })),
  ]
}

export const unprotectedNetworks = ({
  interfaces,
  inventory,
  plan,
  mixedNetworks,
  dnsGateway,
  askedByEngine,
}: UnprotectedInput): Unprotected[] => [
  ...askedByEngine
    .filter((name) => dnsGateway && plan.guarded.some(({ networkName }) => networkName === name))
    .map((subject): Unprotected => ({
      reason: 'dns-tunnel',
      subject,
      advice: `The engine asks for its containers, past the DNS gateway: ${dnsSetup(interfaces)}, then restart engine and containers.`,
    })),
  ...mixedNetworks.map((subject): Unprotected => ({
    reason: 'mixed-bridge',
    subject,
    advice:
      'Containers of different rights share it and can relay for each other: give those with more rights a network of their own.',
  })),
  ...(inventory?.networks ?? []).flatMap(({ driver, name }): Unprotected[] =>
    driver === 'macvlan' || driver === 'ipvlan'
      ? [
          {
            reason: driver,
            subject: name,
            advice: `Containers on ${driver} networks send past the host's firewall: use a bridge network, or filter on the router.`,
          },
        ]
      : [],
  ),
]

/** Any address will do to which containers have a route, since the rules lead every question to the gateway. */
const dnsSetup = (interfaces: readonly HostInterface[]): string => {
  const address = defaultBridgeAddress(interfaces)
  return address === undefined
    ? 'let `embargod setup-dns --address A` write "dns": ["A"], an address of this host, into daemon.json'
    : `let \`embargod setup-dns\` write "dns": ["${address}"] into daemon.json`
}
