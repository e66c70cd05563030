import { usesIptables, usesNftables } from '../engine.ts'
import type { Unprotected } from '../model.ts'
import type { UnprotectedInput } from './input.ts'

export const unprotectedHost = ({
  engine,
  config,
  secondGuard,
  proven,
  dnsGateway,
  openPolicies,
}: UnprotectedInput): Unprotected[] => {
  const found: Unprotected[] = []
  if (engine?.rootless) {
    found.push({
      reason: 'rootless',
      subject: '',
      advice:
        'A rootless engine keeps its networks in a namespace of its own, out of reach of this firewall: use the rootful engine.',
    })
  }
  if (engine && !usesIptables(engine) && !(usesNftables(engine) && proven)) {
    const why = usesNftables(engine)
      ? 'and no proof has shown yet that the rules in FORWARD hold: see `embargod verify`, or'
      : 'where DOCKER-USER is not asked:'
    found.push({
      reason: 'engine-backend',
      subject: '',
      advice: `The engine keeps its rules in ${sayBackend(engine.firewallBackend)}, ${why} set "firewall-backend": "iptables" in daemon.json.`,
    })
  }
  if (!secondGuard) {
    found.push({
      reason: 'no-second-guard',
      subject: '',
      advice:
        'Only the rules stand: install nft and a kernel with nf_tables, so that the backstop holds while they are disturbed.',
    })
  }
  if (!dnsGateway) {
    found.push({
      reason: 'dns-tunnel',
      subject: '',
      advice:
        'Containers may ask the resolvers in use for any name, and data can leave in such names: set dns.gateway, or let the resolvers answer only the names needed.',
    })
  }
  if (config.guard.inbound === 'any') {
    found.push({
      reason: 'published-inbound',
      subject: '',
      advice:
        'Whoever can reach a container by its own address gets answers, which may carry anything: set guard.inbound to published.',
    })
  }
  const senders = [{ id: '', smtp: config.smtp }, ...config.policies]
  for (const { id } of senders.filter(({ smtp }) => smtp?.destinations === 'any')) {
    found.push({
      reason: 'smtp-any',
      subject: id,
      advice:
        'Mail may leave to any server within the rate: set smtp.destinations to allowed and name the mail servers.',
    })
  }
  for (const { policy, entries } of openPolicies) {
    found.push({
      reason: 'open-policy',
      subject: policy,
      advice: `Its containers reach nearly every address by ${entries.join(', ')}: name what they need, or write { to: internet }.`,
    })
  }
  return found
}

const sayBackend = (driver: string | undefined): string =>
  /^[a-z0-9+-]{1,32}$/.test(driver ?? '') ? `${driver}` : 'an unknown firewall'
