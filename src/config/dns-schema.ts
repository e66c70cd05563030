import * as z from 'zod'
import { address, duration, nameServer, oneOf, rate, wholeNumber } from './schema-parts.ts'

/** DNS of containers: whom they may ask, and the gateway that answers in place of those. */
export const dnsSchema = z
  .strictObject({
    servers: z
      .array(address)
      .prefault([])
      .describe(
        'Name servers that containers may ask. Empty: those of the host and of the engine. Questions to any other server, such as one that is set with `--dns`, are denied.',
      ),
    ratePerContainer: rate('200/second')
      .prefault('200/second')
      .describe(
        'How many new questions one container may send to them; all other addresses share one such budget. Five times as many may come at once. Without the limit a flood would use up the ports from which the host can ask.',
      ),
    gateway: z
      .boolean()
      .prefault(false)
      .describe(
        '`true`: embargod itself answers the questions of containers, whichever server they ask, and gives addresses only for names that are allowed to them. Wildcards in `allow` need it.',
      ),
    upstreams: z
      .array(nameServer)
      .prefault([])
      .describe(
        'Name servers that the gateway asks: `address`, `address:port`, `[v6]:port`, or DNS over TLS as `tls://address#name` and `tls://address:port#name`, with the name in the certificate. Empty: those that the host uses.',
      ),
    denied: oneOf('nxdomain', 'refused', 'zero')
      .prefault('nxdomain')
      .describe(
        'What the gateway answers for a name that is not allowed, with an Extended DNS Error that says so. `nxdomain`: resolvers go on to the next domain of their search list. `refused`: some resolvers stop there. `zero`: 0.0.0.0 and ::, but NXDOMAIN for an allowed name to which a search domain was appended.',
      ),
    log: oneOf('denied', 'all', 'none')
      .prefault('denied')
      .describe('Which questions to the gateway are logged.'),
    maxHold: duration('1ms', '5s')
      .prefault('100ms')
      .describe(
        'How long an answer of the gateway waits until the kernel has its addresses. After that it is withheld.',
      ),
    minTtl: duration('0s', '1h').prefault('0s').describe('Lower limit of the TTL in answers of the gateway.'),
    maxTtl: duration('1s', '1d').prefault('1h').describe('Upper limit of the TTL in answers of the gateway.'),
    port: wholeNumber(1, 65_535)
      .prefault(10_053)
      .describe(
        "The gateway's port on this host, UDP and TCP. What containers send to port 53 is redirected to it.",
      ),
  })
  .prefault({})
  .describe('DNS of containers.')
