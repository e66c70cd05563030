import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { run } from '../../src/system/exec.ts'
import { chosenEngine } from '../lab/engines.ts'

/** Where the numbers come from. */
export async function machineFacts(): Promise<readonly (readonly [string, string])[]> {
  const iptables = (await run(['iptables', '-V'])).stdout.trim()
  const ipset = (await run(['ipset', '-v'])).stdout.split('\n')[0] ?? ''
  return [
    ['kernel', release()],
    ['system', /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown'],
    ['cores', `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`],
    ['memory', `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ['engine', `Docker ${chosenEngine()}`],
    ['tools', `${iptables}, ${ipset}`],
    ['Node', process.version],
  ]
}
