import { parseAddress } from '../net/address.ts'
import { FAMILIES, type Address, type Cidr } from '../net/types.ts'
import { bridgeNameOf, isUsableInterfaceName } from './bridge-name.ts'
import { isObject, listOf, objectOf, textOf, textRecordOf, textsOf } from './json.ts'
import type { JsonObject } from './json.ts'
import type { Container, Endpoint, Inventory, Network } from './model.ts'
import { POLICY_LABEL } from './own-labels.ts'
import { parseSubnet } from './subnet.ts'

/** The value that was understood, and in sentences what was not. `undefined`: it has no id or no name, so it cannot be guarded. */
export interface Parsed<T> {
  readonly value: T
  readonly problems: readonly string[]
}

/**
 * `GET /networks` (or inspections) and container inspections → inventory, sorted by id so that equal facts give equal values.
 * Never throws: an element that makes no sense is left out and named in `problems`.
 */
export const parseInventory = (json: {
  readonly networks: unknown
  readonly containers: unknown
}): Parsed<Inventory> => {
  const problems: string[] = []
  const keep = <T>(parsed: Parsed<T | undefined>): T[] => {
    problems.push(...parsed.problems)
    return parsed.value === undefined ? [] : [parsed.value]
  }
  if (!Array.isArray(json.networks)) problems.push('the list of networks is no list')
  if (!Array.isArray(json.containers)) problems.push('the list of containers is no list')
  const networks = listOf(json.networks).flatMap((item) => keep(parseNetwork(item)))
  const containers = listOf(json.containers).flatMap((item) => keep(parseContainer(item)))
  return { value: { networks: sortById(networks), containers: sortById(containers) }, problems }
}

/** An element of `GET /networks`, or `GET /networks/{id}`. Both have what is needed here. */
export const parseNetwork = (json: unknown): Parsed<Network | undefined> => {
  const facts = objectOf(json)
  const id = textOf(facts['Id'])
  const name = textOf(facts['Name'])
  if (id === '' || name === '') {
    return { value: undefined, problems: ['a network without id or name was left out'] }
  }
  const problems: string[] = []
  const driver = textOf(facts['Driver'])
  const bridge =
    driver === 'bridge' ? bridgeNameOf({ id, name, options: objectOf(facts['Options']) }) : undefined
  if (bridge !== undefined && !isUsableInterfaceName(bridge)) {
    problems.push(
      `network ${quoted(name)}: its interface name ${quoted(bridge)} cannot stand in a rule; the network stays closed`,
    )
  }
  const subnets: Cidr[] = []
  const gateways: Address[] = []
  for (const pool of listOf(objectOf(facts['IPAM'])['Config'])) {
    const subnetText = textOf(objectOf(pool)['Subnet'])
    const subnet = parseSubnet(subnetText)
    if (subnet) subnets.push(subnet)
    else if (subnetText !== '') problems.push(`network ${quoted(name)}: ${quoted(subnetText)} is no subnet`)
    // Some engines write the gateway with the prefix length.
    const gateway = parseAddress(textOf(objectOf(pool)['Gateway']).replace(/\/\d+$/, ''))
    if (gateway) gateways.push(gateway)
  }
  const policyLabel = textRecordOf(facts['Labels'])[POLICY_LABEL]
  const value: Network = {
    id,
    name,
    driver,
    bridge: bridge !== undefined && isUsableInterfaceName(bridge) ? bridge : undefined,
    subnets,
    gateways,
    internal: facts['Internal'] === true,
    ipv6: facts['EnableIPv6'] === true,
    ...unmasqueradedIn(textRecordOf(facts['Options'])),
    ...(policyLabel === undefined ? {} : { policyLabel }),
  }
  return { value, problems }
}

/** In a gateway mode other than NAT, packets keep the container's own address, or do not leave at all. */
function unmasqueradedIn(options: Readonly<Record<string, string>>): Pick<Network, 'unmasqueraded'> {
  const ofBridge = (name: string): string => options[`com.docker.network.bridge.${name}`] ?? ''
  const isOff = /^(0|f|false)$/i.test(ofBridge('enable_ip_masquerade'))
  const families = FAMILIES.filter(
    (family) => isOff || !['', 'nat', 'nat-unprotected'].includes(ofBridge(`gateway_mode_ipv${family}`)),
  )
  return families.length === 0 ? {} : { unmasqueraded: families }
}

/** `GET /containers/{id}/json`. */
export const parseContainer = (json: unknown): Parsed<Container | undefined> => {
  const facts = objectOf(json)
  const id = textOf(facts['Id'])
  if (id === '') return { value: undefined, problems: ['a container without id was left out'] }
  const host = objectOf(facts['HostConfig'])
  const network = objectOf(facts['NetworkSettings'])
  const mode = textOf(host['NetworkMode'])
  const state = objectOf(facts['State'])
  const value: Container = {
    id,
    name: textOf(facts['Name']).replace(/^\//, ''),
    // While a container restarts the engine says both.
    running: state['Running'] === true && state['Restarting'] !== true,
    pid: pidOf(state['Pid']),
    networkMode: mode === 'default' || mode === '' ? 'bridge' : mode,
    runtime: textOf(host['Runtime']),
    privileged: host['Privileged'] === true,
    capAdd: capabilitiesOf(host['CapAdd']),
    capDrop: capabilitiesOf(host['CapDrop']),
    pidMode: textOf(host['PidMode']),
    cgroupnsMode: textOf(host['CgroupnsMode']),
    securityOpt: textsOf(host['SecurityOpt']),
    mounts: mountsOf(facts),
    dns: textsOf(host['Dns']),
    publishedPorts: publishedPortsOf(network['Ports']),
    servedPorts: servedPortsOf(network['Ports'], host['PortBindings']),
    labels: textRecordOf(objectOf(facts['Config'])['Labels']),
    imageId: textOf(facts['Image']),
    imageLabels: undefined,
    resolvConfPath: textOf(facts['ResolvConfPath']) || undefined,
    endpoints: Object.entries(objectOf(network['Networks'])).map(([name, endpoint]) =>
      endpointOf(name, objectOf(endpoint)),
    ),
  }
  return {
    value,
    problems: isObject(facts['HostConfig']) ? [] : [`container ${id.slice(0, 12)} has no HostConfig`],
  }
}

/** An element of `GET /containers/json` in the shape of an inspection. It has less, but everything that decides the container's rights. */
export const inspectionOf = (summary: unknown): JsonObject => {
  const facts = objectOf(summary)
  return {
    Id: facts['Id'],
    Name: textsOf(facts['Names'])[0],
    Image: facts['ImageID'],
    State: { Running: facts['State'] === 'running' || facts['State'] === 'paused' },
    Config: { Labels: facts['Labels'] },
    HostConfig: facts['HostConfig'],
    NetworkSettings: facts['NetworkSettings'],
    Mounts: facts['Mounts'],
  }
}

/** `GET /networks/{id}` → the ids of the containers that are on it, or are about to be. */
export const attachedTo = (network: unknown): string[] =>
  Object.keys(objectOf(objectOf(network)['Containers']))

/** `GET /networks/{id}` → the place of one container on it. The network has it before the container's process runs. */
export const parseAttachment = (json: unknown, container: string): Endpoint | undefined => {
  const network = objectOf(json)
  const place = objectOf(network['Containers'])[container]
  if (!isObject(place)) return undefined
  const bare = (text: unknown): string => textOf(text).replace(/\/\d+$/, '')
  return endpointOf(textOf(network['Name']), {
    NetworkID: network['Id'],
    IPAddress: bare(place['IPv4Address']),
    GlobalIPv6Address: bare(place['IPv6Address']),
    MacAddress: place['MacAddress'],
  })
}
const capabilitiesOf = (names: unknown): string[] =>
  textsOf(names).map((name) => name.toUpperCase().replace(/^CAP_/, ''))

const pidOf = (pid: unknown): number | undefined =>
  typeof pid === 'number' && Number.isInteger(pid) && pid > 0 ? pid : undefined

/** `GET /images/{id}/json` → the labels that the image gives to its containers. */
export const parseImageLabels = (json: unknown): Readonly<Record<string, string>> =>
  textRecordOf(objectOf(objectOf(json)['Config'])['Labels'])

const mountsOf = (facts: JsonObject): Container['mounts'] =>
  listOf(facts['Mounts']).flatMap((item) => {
    const mount = objectOf(item)
    const source = textOf(mount['Source'])
    return source === '' ? [] : [{ source, readOnly: mount['RW'] !== true }]
  })

const publishedPortsOf = (ports: unknown): Container['publishedPorts'] =>
  Object.entries(objectOf(ports)).flatMap(([inside, bindings]) =>
    listOf(bindings).flatMap((item) => {
      const binding = objectOf(item)
      const hostPort = Number(binding['HostPort'])
      if (!isPort(hostPort)) return []
      return [{ hostIp: textOf(binding['HostIp']), hostPort, protocol: inside.split('/')[1] ?? 'tcp' }]
    }),
  )

/** Ports such as `80/tcp` that are published to others than the host itself. A null value is a port that the image merely names. */
const servedPortsOf = (ports: unknown, bindings: unknown): Container['servedPorts'] => {
  const inside = [ports, bindings].flatMap((some) =>
    Object.entries(objectOf(some)).flatMap(([name, to]) =>
      listOf(to).some((one) => !isLoopback(textOf(objectOf(one)['HostIp']))) ? [name] : [],
    ),
  )
  return [...new Set(inside)].flatMap((name) => {
    const [port = '', protocol = 'tcp'] = name.split('/')
    return isPort(Number(port)) ? [{ port: Number(port), protocol }] : []
  })
}

/** Published to the host alone. */
const isLoopback = (hostIp: string): boolean => hostIp.startsWith('127.') || hostIp === '::1'

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535

const endpointOf = (networkName: string, endpoint: JsonObject): Endpoint => ({
  networkId: textOf(endpoint['NetworkID']),
  networkName,
  addresses: [endpoint['IPAddress'], endpoint['GlobalIPv6Address']].flatMap(
    (text) => parseAddress(textOf(text)) ?? [],
  ),
  gateways: [endpoint['Gateway'], endpoint['IPv6Gateway']].flatMap(
    (text) => parseAddress(textOf(text)) ?? [],
  ),
  mac: /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(textOf(endpoint['MacAddress']))
    ? textOf(endpoint['MacAddress']).toLowerCase()
    : undefined,
})

/** By code unit, not by locale. */
const sortById = <T extends { readonly id: string }>(items: readonly T[]): T[] =>
  items.toSorted((left, right) => (left.id < right.id ? -1 : left.id > right.id ? 1 : 0))

/** Anybody can choose a name, so it is escaped and shortened. */
const quoted = (text: string): string => JSON.stringify(text.slice(0, 64))
