import type { Ruleset, Table } from '../../dataplane/model.ts'
import { FAMILIES, type Family } from '../../net/types.ts'
import {
  PARTS,
  type DesiredState,
  type DriftKind,
  type Keeper,
  type Scope,
  type TargetChange,
} from '../keeper.ts'
import { diffRules, type TableChange } from './diff.ts'
import type { IptablesDriver, Leftovers, SomeFamilies } from './driver.ts'

export interface RulesChange extends TargetChange {
  readonly tables: readonly TableChange[]
  /** Takes rules of ours out of the flavour of iptables that is not in use. */
  readonly leftovers: readonly TableChange[]
}

/** Keeps our chains and the jumps to them, in both families. */
export class RulesKeeper implements Keeper<RulesChange> {
  #seen: SomeFamilies = {}
  #leftovers: Leftovers = NO_LEFTOVERS

  constructor(private readonly driver: IptablesDriver) {}

  /** The families that the last look read. */
  get seen(): SomeFamilies {
    return this.#seen
  }

  /** Why rules of ours stay in the flavour of iptables that is not in use, by a look at every part. */
  get leftoverProblem(): string | undefined {
    return this.#leftovers.problem
  }

  async look(_: unknown, { parts }: Pick<Scope, 'parts'>): Promise<void> {
    this.#seen = await this.driver.readSome(FAMILIES.filter((family) => parts.has(family)))
    this.#leftovers = parts.size === PARTS.length ? await this.driver.leftovers() : NO_LEFTOVERS
  }

  plan({ dataplane }: Pick<DesiredState, 'dataplane'>): RulesChange | undefined {
    return rulesChange(differences(dataplane.rules, this.#seen), this.#leftovers.changes)
  }

  async apply({ tables, leftovers }: RulesChange): Promise<void> {
    for (const table of VERDICTS_FIRST) await this.#writeTable(tables, table)
    // What judged before goes when its successor is in force, and before the sets that only it names.
    for (const leftover of leftovers) await this.driver.write(leftover)
  }

  /** The families know nothing of each other, so they are written side by side; both are waited for. */
  async #writeTable(tables: readonly TableChange[], table: Table): Promise<void> {
    const writes = tables
      .filter((change) => change.table === table)
      .map((change) => this.driver.write(change))
    for (const result of await Promise.allSettled(writes))
      if (result.status === 'rejected') throw result.reason
  }
}

/** Undefined: nothing has to be written. */
export function rulesChange(
  tables: readonly TableChange[],
  leftovers: readonly TableChange[],
): RulesChange | undefined {
  if (tables.length === 0 && leftovers.length === 0) return undefined
  const linesOf = (change: TableChange): string[] => {
    const flavour = change.flavour === undefined ? '' : ` (${change.flavour})`
    return change.summary.map((line) => `IPv${change.family} ${change.table}${flavour}: ${line}`)
  }
  const lines = tables.flatMap(({ summary }) => summary)
  const drift = lines.map((line): DriftKind => (line.includes('jump') ? 'jump' : 'rules'))
  return { tables, leftovers, summary: [...tables, ...leftovers].flatMap(linesOf), drift }
}

const differences = (desired: Readonly<Record<Family, Ruleset>>, seen: SomeFamilies): TableChange[] =>
  FAMILIES.flatMap((family) => {
    const saved = seen[family]
    return saved ? diffRules(desired[family], saved, family) : []
  })

/** A new network is guarded by its verdict; that its sources are checked too can wait for two more processes. */
const VERDICTS_FIRST = ['filter', 'raw', 'nat'] as const satisfies readonly Table[]

const NO_LEFTOVERS: Leftovers = { changes: [], problem: undefined }
