import type { Argv } from '../box.ts'
import type { Daemon } from '../embargod.ts'
import type { Lab } from '../lab.ts'
import { PlainHost } from './host.ts'

export const GUARDS = ['rules', 'backstop'] as const
export type Guard = (typeof GUARDS)[number]

/** Takes the jumps to the rules, or the backstop, from a host that nobody repairs. */
const REMOVE: Readonly<Record<Guard, readonly Argv[]>> = {
  rules: ['iptables', 'ip6tables'].flatMap((tool): Argv[] => [
    [tool, '-w', '-F', 'DOCKER-USER'],
    [tool, '-w', '-F', 'INPUT'],
    [tool, '-w', '-t', 'raw', '-F', 'PREROUTING'],
  ]),
  backstop: [['nft', 'delete', 'table', 'inet', 'embargod-guard']],
}

/** The daemon is dead, and one of the two guards has to do by itself. */
export class OneGuardHost extends PlainHost {
  constructor(
    lab: Lab,
    private readonly standing: Guard,
  ) {
    super(lab)
  }

  override async guard(config: string): Promise<Daemon> {
    const daemon = await super.guard(config)
    await daemon.kill()
    for (const gone of GUARDS.filter((one) => one !== this.standing))
      for (const argv of REMOVE[gone]) await this.lab.host(argv, { okExitCodes: [1] })
    return daemon
  }
}
