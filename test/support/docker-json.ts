/** What real engines answer, cut to the fields that matter; each builder takes the fields that a test is about. */

type Json = Record<string, unknown>

export const BRIDGE_ID = '3a1f2b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708'
export const SHOP_ID = 'b0c1d2e3f4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff'

export const networkJson = (fields: Json = {}): Json => ({
  Name: 'shop_default',
  Id: SHOP_ID,
  Created: '2026-01-02T03:04:05.678901234Z',
  Scope: 'local',
  Driver: 'bridge',
  EnableIPv6: false,
  IPAM: { Driver: 'default', Options: null, Config: [{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }] },
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: '' },
  ConfigOnly: false,
  Containers: {},
  Options: {},
  Labels: {},
  ...fields,
})

/** The default network, as 20.10 to 28 list it: no gateway in its pool until 28. */
export const defaultBridgeJson = (fields: Json = {}): Json =>
  networkJson({
    Name: 'bridge',
    Id: BRIDGE_ID,
    IPAM: { Driver: 'default', Options: null, Config: [{ Subnet: '172.17.0.0/16' }] },
    Options: {
      'com.docker.network.bridge.default_bridge': 'true',
      'com.docker.network.bridge.enable_icc': 'true',
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
      'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
      'com.docker.network.bridge.name': 'docker0',
      'com.docker.network.driver.mtu': '1500',
    },
    ...fields,
  })

export const containerJson = ({
  id = 'c1'.repeat(32),
  name = 'shop-web-1',
  running = true,
  host = {},
  network = {},
  ...fields
}: {
  id?: string
  name?: string
  running?: boolean
  host?: Json
  network?: Json
} & Json = {}): Json => ({
  Id: id,
  Name: `/${name}`,
  State: { Status: running ? 'running' : 'exited', Running: running, Pid: running ? 4242 : 0 },
  ResolvConfPath: `/var/lib/docker/containers/${id}/resolv.conf`,
  HostConfig: {
    Binds: null,
    NetworkMode: 'shop_default',
    Privileged: false,
    CapAdd: null,
    Dns: [],
    PortBindings: {},
    ...host,
  },
  Mounts: [],
  Config: { Labels: { 'com.docker.compose.project': 'shop' } },
  NetworkSettings: {
    Ports: {},
    Networks: {
      shop_default: {
        NetworkID: SHOP_ID,
        IPAddress: '172.18.0.2',
        GlobalIPv6Address: '',
        MacAddress: '02:42:AC:12:00:02',
      },
    },
    ...network,
  },
  ...fields,
})

export interface EngineJson {
  readonly info: Json
  readonly version: Json
}

const engineJson = (version: string, apiVersion: string, info: Json): EngineJson => ({
  version: { Version: version, ApiVersion: apiVersion, MinAPIVersion: '1.24', Os: 'linux' },
  info: {
    ServerVersion: version,
    SecurityOptions: ['name=seccomp,profile=default'],
    Swarm: { LocalNodeState: 'inactive' },
    ...info,
  },
})

export const ENGINE_20: EngineJson = engineJson('20.10.24+dfsg1', '1.41', {})
export const ENGINE_26: EngineJson = engineJson('26.1.5+dfsg1', '1.45', {
  SecurityOptions: ['name=apparmor', 'name=seccomp,profile=builtin', 'name=cgroupns'],
})
export const ENGINE_28: EngineJson = engineJson('28.5.2', '1.51', { FirewallBackend: { Driver: 'iptables' } })
export const ENGINE_28_FIREWALLD: EngineJson = engineJson('28.5.2', '1.51', {
  FirewallBackend: { Driver: 'iptables+firewalld', Info: [['ReloadedAt', '2026-01-02T03:04:05Z']] },
})
/** An engine that keeps its rules there. */
export const engineOn = (driver: string): EngineJson =>
  engineJson('29.0.1', '1.52', { FirewallBackend: { Driver: driver } })
export const ENGINE_29_NFTABLES: EngineJson = engineOn('nftables')
export const ENGINE_ROOTLESS: EngineJson = engineJson('28.5.2', '1.51', {
  SecurityOptions: ['name=seccomp,profile=builtin', 'name=rootless', 'name=cgroupns'],
})
