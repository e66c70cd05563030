import { InvalidArgumentError } from 'commander'
import type { Command } from 'commander'
import { configOption, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs } from './command.ts'

/** `port` and `protocol` as far as they were said; `icmp` and its like have no port. */
export interface Destination {
  /** A name or an address, not yet parsed. */
  readonly host: string
  readonly port: number | undefined
  readonly protocol: string | undefined
}

export interface ExplainArgs extends ConfigArgs {
  /** Name or id of a container, or name of a network. */
  readonly source: string
  readonly destination: Destination
  readonly json: boolean
}

export function defineExplain(program: Command, action: Action<ExplainArgs>, bind: Bind): void {
  const command = configOption(program.command('explain'))
    .description(
      "Say whether a packet would pass, and which rule decides, computed from the kernel's rules and sets.",
    )
    .argument('<source>', 'a container or a network')
    .argument(
      '<destination>',
      'DEST[:PORT[/PROTO]]: a name or an address; an IPv6 address with a port stands in brackets',
      parseDestination,
    )
    .option('--json', 'as JSON')
    .action((source: string, destination: Destination, options: ConfigArgs & { readonly json?: true }) =>
      bind(action, { source, destination, config: options.config, json: options.json === true }),
    )
  explainUse(
    command,
    [
      'embargod explain shop_web api.stripe.com:443',
      'embargod explain shop_default 203.0.113.9:53/udp',
      "embargod explain shop_web '[2001:db8::1]:443/tcp' --json",
      'embargod explain shop_web 198.51.100.7/icmp',
    ],
    { 0: 'allowed', 6: 'denied', 1: 'no verdict could be computed' },
  )
}

/** `host`, `host:port`, `host:port/proto`, `host/proto`; an address with two colons and more is IPv6 without port unless bracketed. */
export function parseDestination(text: string): Destination {
  const [, place = '', protocol] = /^([^/]*)(?:\/([a-z]+))?$/.exec(text) ?? []
  const bracketed = /^\[([0-9a-fA-F:.]+)\](?::(\d{1,5}))?$/.exec(place)
  const plain = /^([^:[\]]+)(?::(\d{1,5}))?$/.exec(place)
  const bare = /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(place) ? [place, place] : null
  const [, host, digits] = bracketed ?? plain ?? bare ?? []
  if (!host)
    throw new InvalidArgumentError('write DEST, DEST:PORT or DEST:PORT/PROTO, as in api.example.com:443/tcp')
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && (port < 1 || port > 65535))
    throw new InvalidArgumentError(`there is no port ${port}`)
  return { host, port, protocol }
}
