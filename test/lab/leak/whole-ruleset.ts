import type { Lab } from '../lab.ts'
import { TOOLS, type IptablesTool } from './foreign.ts'

/** Table, then chain, then the lines of it that are not ours: `*nat`, `:DOCKER - [0:0]`, `-A DOCKER …`. */
type Tables = ReadonlyMap<string, { readonly chains: readonly string[]; readonly rules: readonly string[] }>

/** Everything in every iptables table that is not ours, NAT too: what its owners would put back, who do so only when they start. */
export class WholeRuleset {
  private constructor(
    private readonly lab: Lab,
    private readonly tables: ReadonlyMap<IptablesTool, Tables>,
  ) {}

  static async remember(lab: Lab): Promise<WholeRuleset> {
    const tables = new Map<IptablesTool, Tables>()
    for (const tool of TOOLS) tables.set(tool, await read(lab, tool))
    return new WholeRuleset(lab, tables)
  }

  /** Makes missing chains and puts missing rules back, each chain's in its order; in FORWARD on top, as Docker does. */
  async restore(): Promise<void> {
    for (const [tool, wanted] of this.tables) {
      const present = await read(this.lab, tool)
      const lines = [...wanted].flatMap(([table, { chains, rules }]) => {
        const there = present.get(table)
        const lacks = (kind: 'chains' | 'rules') => (line: string) => !there?.[kind].includes(line)
        const missing = rules.filter(lacks('rules'))
        return [table, ...chains.filter(lacks('chains')), ...missing.map(inItsPlace()), 'COMMIT']
      })
      await this.lab.host([`${tool}-restore`, '--noflush'], { input: `${lines.join('\n')}\n` })
    }
  }
}

function inItsPlace(): (line: string) => string {
  let place = 0
  return (line) =>
    line.startsWith('-A FORWARD ') ? line.replace('-A FORWARD', `-I FORWARD ${(place += 1)}`) : line
}

async function read(lab: Lab, tool: IptablesTool): Promise<Tables> {
  const { stdout } = await lab.host([`${tool}-save`])
  const tables = new Map<string, { chains: string[]; rules: string[] }>()
  let current: { chains: string[]; rules: string[] } | undefined
  for (const line of stdout.split('\n')) {
    if (line.startsWith('*')) tables.set(line, (current = { chains: [], rules: [] }))
    if (line.includes('EMBARGOD')) continue
    if (line.startsWith(':')) current?.chains.push(line.replace(/\[\d+:\d+\]/, '[0:0]'))
    if (line.startsWith('-A ')) current?.rules.push(line)
  }
  return tables
}
