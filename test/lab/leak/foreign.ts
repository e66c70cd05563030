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

  /** Appends what is missing of each chain, in its order: for chains that were flushed, as whoever owns them would. */
  async restore(): Promise<void> {
    for (const tool of TOOLS) {
      const present = new Set(await foreignLines(this.lab, tool))
      const missing = (this.lines.get(tool) ?? []).filter((line) => !present.has(line))
      const input = ['*filter', ...missing, 'COMMIT', ''].join('\n')
      if (missing.length > 0) await this.lab.host([`${tool}-restore`, '--noflush'], { input })
    }
  }
}

/** The chain in which our jump stands: FORWARD where the engine has no DOCKER-USER, as 20.10 for IPv6. */
export async function parentOf(lab: Lab, tool: IptablesTool): Promise<'DOCKER-USER' | 'FORWARD'> {
  const { stdout } = await lab.host([`${tool}-save`, '-t', 'filter'])
  return stdout.includes('-A DOCKER-USER ') ? 'DOCKER-USER' : 'FORWARD'
}

async function foreignLines(lab: Lab, tool: IptablesTool): Promise<readonly string[]> {
  const { stdout } = await lab.host([`${tool}-save`, '-t', 'filter'])
  return stdout.split('\n').filter((line) => line.startsWith('-A ') && !line.includes('EMBARGOD'))
}
