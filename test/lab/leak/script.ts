import type { Lab } from '../lab.ts'
import { insertRules } from '../rules.ts'
import { parentOf, TOOLS } from './foreign.ts'

/**
 * What people write by hand, for comparison: the same verdict in DOCKER-USER, or in FORWARD where that chain is missing, and
 * nobody who looks after it.
 */
export async function writeScript(lab: Lab): Promise<void> {
  for (const tool of TOOLS) {
    const v4 = tool === 'iptables'
    await insertRules(lab, v4 ? 4 : 6, await parentOf(lab, tool), [
      '-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN',
      `-d ${v4 ? '203.0.113.10' : '2001:db8:f::10'} -p tcp --dport 80 -j RETURN`,
      '-p udp --dport 53 -j RETURN',
      ...['docker0', 'br-+', 'my-lan'].map((bridge) => `-i ${bridge} -j DROP`),
    ])
  }
}
