import { access, constants, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SEARCH_PATH } from './exec.ts'

/** Something that the daemon needs (`required`) or works better with, and how to get it, in one line. */
export interface Missing {
  readonly required: boolean
  readonly message: string
}

export interface PrivilegeFacts {
  /** Text of `/proc/self/status`. */
  readonly processStatus: () => Promise<string>
  readonly hasTool: (name: string) => Promise<boolean>
}

const CAPABILITIES = [
  { bit: 12, name: 'NET_ADMIN', reason: 'to write firewall rules' },
  { bit: 13, name: 'NET_RAW', reason: 'for rules that match sets' },
] as const

const TOOLS: readonly { name: string; packageName: string; required: boolean; reason: string }[] = [
  { name: 'iptables-save', packageName: 'iptables', required: true, reason: 'to read rules' },
  { name: 'iptables-restore', packageName: 'iptables', required: true, reason: 'to write rules' },
  { name: 'ip6tables-save', packageName: 'iptables', required: true, reason: 'to read IPv6 rules' },
  { name: 'ip6tables-restore', packageName: 'iptables', required: true, reason: 'to write IPv6 rules' },
  { name: 'ipset', packageName: 'ipset', required: true, reason: 'to hold the allowed addresses' },
  { name: 'ip', packageName: 'iproute2', required: true, reason: 'to read interfaces and routes' },
  {
    name: 'nft',
    packageName: 'nftables',
    required: false,
    reason: 'the second guard cannot stand without it',
  },
  {
    name: 'conntrack',
    packageName: 'conntrack',
    required: false,
    reason: 'connections cannot be listed without it',
  },
  {
    name: 'perl',
    packageName: 'perl-base',
    required: false,
    reason: 'policies cannot tell containers apart without it',
  },
]

/** Everything that is missing at once, required things first. */
export async function checkPrivileges(facts: PrivilegeFacts = thisHost): Promise<readonly Missing[]> {
  return [...missingRights(await facts.processStatus()), ...(await missingTools(facts))]
}

function missingRights(status: string): Missing[] {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1]
  if (uid !== '0') {
    return [{ required: true, message: 'not root: run it as root (sudo embargod …), or as the systemd unit' }]
  }
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`)
  return CAPABILITIES.filter(({ bit }) => ((effective >> BigInt(bit)) & 1n) === 0n).map(
    ({ name, reason }) => ({
      required: true,
      message: `no ${name} capability, needed ${reason}: in a container add --cap-add ${name} and --network host; in a unit, CapabilityBoundingSet=CAP_${name}`,
    }),
  )
}

async function missingTools({ hasTool }: PrivilegeFacts): Promise<Missing[]> {
  const missing: Missing[] = []
  for (const { name, packageName, required, reason } of TOOLS) {
    if (await hasTool(name)) continue
    const why = required ? `needed ${reason}` : reason
    missing.push({ required, message: `no program ${name}, ${why}: apt-get install ${packageName}` })
  }
  return missing.toSorted((left, right) => Number(right.required) - Number(left.required))
}

const thisHost: PrivilegeFacts = {
  processStatus: () => readFile('/proc/self/status', 'utf8'),
  hasTool: onPath,
}

async function onPath(name: string): Promise<boolean> {
  for (const directory of (process.env['PATH'] ?? SEARCH_PATH).split(':')) {
    try {
      await access(join(directory || '.', name), constants.X_OK)
      return true
    } catch {
      continue
    }
  }
  return false
}
