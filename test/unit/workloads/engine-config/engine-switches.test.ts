import { expect, test } from 'vitest'
import { parseDockerdArgv } from '../../../../src/workloads/engine-config/dockerd-process.ts'
import { engineSwitches } from '../../../../src/workloads/engine-config/engine-switches.ts'
import { parseEngine } from '../../../../src/workloads/engine.ts'
import { parseNetwork } from '../../../../src/workloads/inventory.ts'

const switches = (version: string, argv: string, config?: object) =>
  engineSwitches({
    dockerds: [parseDockerdArgv(argv.split(' '), 7)],
    engine: parseEngine({ info: {}, version: { Version: version } }),
    readConfig: async (path) => {
      expect(path).toBe('/etc/docker/daemon.json')
      return config && JSON.stringify(config)
    },
  })

test.each([
  ['28.5.2', 'dockerd', undefined, true, true],
  ['20.10.24', 'dockerd', undefined, true, undefined],
  ['20.10.24', 'dockerd', { ip6tables: true, experimental: true }, true, undefined],
  ['28.5.2', 'dockerd', { iptables: false }, false, undefined],
  ['28.5.2', 'dockerd', { iptables: false, ip6tables: false }, false, false],
  ['28.5.2', 'dockerd --iptables=false', undefined, false, undefined],
  ['28.5.2', 'dockerd --iptables=false --iptables', undefined, true, true],
  ['28.5.2', 'dockerd --ip6tables=0', {}, true, false],
  ['28.5.2', 'dockerd', { ip6tables: false }, true, false],
])('engine %s as `%s` with %j keeps rules for IPv4 %s, IPv6 %s', async (version, argv, config, four, six) => {
  expect(await switches(version, argv, config)).toEqual({
    switches: { 4: four, 6: six },
    problem: undefined,
  })
})

test('of an engine that is not seen, is one of several, or whose config cannot be read, nothing is known', async () => {
  const engine = parseEngine({ info: {}, version: { Version: '28.5.2' } })
  const dockerd = parseDockerdArgv(['dockerd'], 7)
  const readConfig = async (): Promise<undefined> => undefined
  const switchesUnknown = { 4: undefined, 6: undefined }
  const unknown = { switches: switchesUnknown, problem: undefined }
  expect(await engineSwitches({ dockerds: [], engine, readConfig })).toEqual(unknown)
  expect(await engineSwitches({ dockerds: [dockerd, dockerd], engine, readConfig })).toEqual(unknown)
  expect(await engineSwitches({ dockerds: [dockerd], engine: undefined, readConfig })).toEqual(unknown)
  const refused = async (): Promise<never> => Promise.reject(new Error('not to be trusted'))
  expect(await engineSwitches({ dockerds: [dockerd], engine, readConfig: refused })).toEqual({
    switches: switchesUnknown,
    problem: 'reading /etc/docker/daemon.json: not to be trusted',
  })
  expect(await switches('28.5.2', 'dockerd', { iptables: 'no' })).toMatchObject({
    switches: { 4: true, 6: true },
  })
})

test.each([
  [{}, undefined],
  [{ enable_ip_masquerade: 'true' }, undefined],
  [{ enable_ip_masquerade: 'false' }, [4, 6]],
  [{ gateway_mode_ipv6: 'routed' }, [6]],
  [{ gateway_mode_ipv4: 'nat-unprotected', gateway_mode_ipv6: 'isolated' }, [6]],
])('a network with %j leaves addresses as they are in %j', (options, families) => {
  const named = Object.entries(options).map(([key, value]) => [`com.docker.network.bridge.${key}`, value])
  const { value } = parseNetwork({
    Id: 'a',
    Name: 'shop',
    Driver: 'bridge',
    Options: Object.fromEntries(named),
  })
  expect(value?.unmasqueraded).toEqual(families)
})
