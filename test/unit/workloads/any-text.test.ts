import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseNameServer } from '../../../src/config/values.ts'
import { parseAddress } from '../../../src/net/address.ts'
import { nameServersIn } from '../../../src/resolve/host-servers.ts'
import { parseLinkLine } from '../../../src/workloads/link-watcher.ts'
import { parseSubnet } from '../../../src/workloads/subnet.ts'

const anyText = fc.string({ unit: 'binary', maxLength: 80 })

describe('a line of ip monitor', () => {
  const interfaceName = fc.stringMatching(/^[A-Za-z0-9_.@-]{1,15}$/).filter((name) => !name.startsWith('@'))
  const link = fc.record({
    name: interfaceName,
    peer: fc.option(fc.constantFrom('if3', 'NONE', 'veth9'), { nil: undefined }),
    kind: fc.constantFrom('bridge', 'veth', 'vlan', undefined),
    master: fc.option(interfaceName, { nil: undefined }),
    isConnected: fc.boolean(),
    deleted: fc.boolean(),
  })

  test('is read back, and the beginning of one is that link or none', () =>
    fc.assert(
      fc.property(
        link,
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ name, peer, kind, master, isConnected, deleted }, share) => {
          const other = peer ?? (name.includes('@') ? 'NONE' : undefined)
          const line = [
            `${deleted ? 'Deleted ' : ''}7: ${name}${other === undefined ? '' : `@${other}`}: <BROADCAST,UP${isConnected ? ',LOWER_UP' : ''}> mtu 1500 qdisc noqueue ${master === undefined ? '' : `master ${master} `}state UP group default `,
            `link/ether 92:c6:a3:06:82:b6 brd ff:ff:ff:ff:ff:ff ${isConnected ? 'link-netnsid 3 ' : ''}promiscuity 0 `,
            ...(kind === undefined ? [] : [`${kind} forward_delay 1500 `]),
            ...(master === undefined ? [] : ['bridge_slave state forwarding ']),
          ].join('\\    ')
          expect(parseLinkLine(line)).toMatchObject({ index: 7, name, kind, master, isConnected, deleted })
          const part = parseLinkLine(line.slice(0, Math.floor(line.length * share)))
          if (part) expect(part).toMatchObject({ name, deleted })
        },
      ),
    ))

  test('of anything throws nothing, and names nothing that is no name', () =>
    fc.assert(
      fc.property(anyText, (text) => {
        const change = parseLinkLine(text)
        if (change) expect(change.name).toMatch(/^\S+$/)
      }),
    ))
})

describe('a resolv.conf', () => {
  const server = fc.oneof(fc.ipV4(), fc.ipV6())

  test('names its servers, whatever else stands in it', () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            server.map((address) => ({ address })),
            anyText.map((text) => ({ text: `x${text.replaceAll('\n', '')}` })),
          ),
        ),
        (lines) => {
          const text = lines
            .map((line) => ('address' in line ? `nameserver ${line.address} # it` : line.text))
            .join('\n')
          const wanted = lines.flatMap((line) => ('address' in line ? [line.address] : []))
          expect(nameServersIn(text)).toEqual([...new Set(wanted)])
        },
      ),
    ))

  test('of anything names addresses only', () =>
    fc.assert(
      fc.property(fc.array(anyText), (rest) => {
        for (const one of nameServersIn(rest.map((text) => `nameserver ${text}`).join('\n')))
          expect(isIP(one)).not.toBe(0)
      }),
    ))

  test('a server with a port is the one without, with that port', () =>
    fc.assert(
      fc.property(server, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        const address = parseAddress(host)
        // IPv4 in the notation of IPv6 is no address here.
        fc.pre(address !== undefined)
        const plain = { kind: 'plain', host: address }
        expect(parseNameServer(host)).toEqual({ server: { ...plain, port: 53 } })
        const written = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
        expect(parseNameServer(written)).toEqual({ server: { ...plain, port } })
      }),
    ))

  test('any text is a server or nothing', () =>
    fc.assert(fc.property(anyText, (text) => void parseNameServer(text))))
})

test('a subnet with host bits is its network; any other text is none', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (address, length) => {
      const subnet = parseSubnet(`${address}/${length}`) ?? ''
      expect(parseSubnet(length === 32 ? `${subnet}/32` : subnet)).toBe(subnet)
      expect(subnet).toMatch(length === 32 ? /^[\d.]+$/ : new RegExp(`^[\\d.]+/${length}$`))
    }),
  )
  fc.assert(fc.property(anyText, (text) => void parseSubnet(text)))
})
