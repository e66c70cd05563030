import type { Lab } from '../lab.ts'

export const TOOLS = ['iptables', 'ip6tables'] as const
export type IptablesTool = (typeof TOOLS)[number]

/** Everything in the filter tables that is not ours, by chain, as it has to stand again after a disturbance. */
export class ForeignRules {
  private constructor(
    private readonly lab: Lab,
    private readonly lines: ReadonlyMap<IptablesTool, readonly string[]>,
  ) {}

  static async remember(lab: Lab): Promise<ForeignRules> {
    const lines = new Map<IptablesTool, readonly string[]>()
    for (const tool of TOOLS) lines.set(tool, await foreignLines(lab, tool))
    return new ForeignRules(lab, lines)
  }

  /** Writes what is missing, as whoever owns it would: each chain that lacks something in its order, behind what is ours. */
  async restore(): Promise<void> {
    for (const tool of TOOLS) {
      const wanted = this.lines.get(tool) ?? []
      const present = await foreignLines(this.lab, tool)
      const lacking = new Set(wanted.filter((line) => !present.includes(line)).map(chainOf))
      const touched = (line: string) => lacking.has(chainOf(line))
      const gone = present.filter(touched).map((line) => line.replace(/^-A/, '-D'))
      const input = ['*filter', ...gone, ...wanted.filter(touched), 'COMMIT', ''].join('\n')
      if (lacking.size > 0) await this.lab.host([`${tool}-restore`, '--noflush'], { input })
    }
  }
}

/** The chain in which our jump stands: FORWARD where the engine has no DOCKER-USER, as 20.10 for IPv6. */
export async function parentOf(lab: Lab, tool: IptablesTool): Promise<'DOCKER-USER' | 'FORWARD'> {
  const { stdout } = await lab.host([`${tool}-save`, '-t', 'filter'])
  return stdout.includes('-A DOCKER-USER ') ? 'DOCKER-USER' : 'FORWARD'
}

const chainOf = (line: string): string => line.split(' ')[1] ?? ''

async function foreignLines(lab: Lab, tool: IptablesTool): Promise<readonly string[]> {
  const { stdout } = await lab.host([`${tool}-save`, '-t', 'filter'])
  return stdout.split('\n').filter((line) => line.startsWith('-A ') && !line.includes('EMBARGOD'))
}
