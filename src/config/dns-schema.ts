import * as z from 'zod'
import { address, duration, nameServer, oneOf, rate, wholeNumber } from './schema-parts.ts'

/** DNS of containers: whom they may ask, and the gateway that answers in place of those. */
export const dnsSchema = z
  .strictObject({
    servers: z
      .array(address)
      .prefault([])
      .describe(
        "Name servers that containers may ask. Empty: the host's and the engine's. Others, set with `--dns`, are denied.",
      ),
    ratePerContainer: rate('200/second')
      .prefault('200/second')
      .describe(
        'New questions of one container to them, and of all other addresses together; five times as many may come at once. A flood would take every port that the host can ask from.',
      ),
    gateway: z
      .boolean()
      .prefault(false)
      .describe(
        '`true`: embargod answers what containers ask, whichever server they name, and nothing but names that are allowed to them. Wildcards take it.',
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
        'What the gateway answers for a name that is not allowed, with an Extended DNS Error that says so. `nxdomain`: resolvers go on to the next domain of their search list. `refused`: some stop there. `zero`: 0.0.0.0 and ::, but NXDOMAIN for an allowed name with further labels behind it.',
      ),
    log: oneOf('denied', 'all', 'none')
      .prefault('denied')
      .describe('Questions to the gateway that are logged.'),
    maxHold: duration('1ms', '5s')
      .prefault('100ms')
      .describe(
        'How long the gateway holds an answer until the kernel has its addresses; after that it is withheld.',
      ),
    minTtl: duration('0s', '1h')
      .prefault('0s')
      .describe('What the gateway answers may be kept for no less than this.'),
    maxTtl: duration('1s', '1d')
      .prefault('1h')
      .describe('What the gateway answers may be kept for no more than this.'),
    port: wholeNumber(1, 65_535)
      .prefault(10_053)
      .describe(
        "The gateway's port on this host, UDP and TCP. What containers send to port 53 is led there.",
      ),
  })
  .prefault({})
  .describe('DNS of containers.')
