import type { Backstop, Dataplane, Table } from '../dataplane/model.ts'
import type { Membership } from '../dataplane/membership.ts'
import type { IpsetDriver } from '../targets/ipset/driver.ts'
import { renderAdditions, type Additions } from '../targets/ipset/render.ts'
import { diffSets, knownFrom, type KnownSet, type SetsChange } from '../targets/ipset/sync.ts'
import type { SetHeader } from '../targets/ipset/parse.ts'
import { diffRules, type RulesChange } from '../targets/iptables/diff.ts'
import type { IptablesDriver, Leftovers, SomeFamilies } from '../targets/iptables/driver.ts'
import { FAMILIES, type Family } from '../net/types.ts'
import {
  backstopInSync,
  beforeOf,
  renderBackstop,
  type BackstopDriver,
  type SavedBackstop,
} from '../targets/backstop/backstop.ts'
import type { BindingsDriver } from '../targets/bindings/driver.ts'
import type { HostNetworkDriver } from '../targets/host-network/driver.ts'
import type { OwnedTableChange, OwnedTable } from '../targets/backstop/owned-table.ts'
import { ToolError } from '../system/exec.ts'
import {
  HostNetworkKeeper,
  type DesiredGroups,
  type HostNetworkChange,
} from '../targets/host-network/keeper.ts'
import { BindingsKeeper, type BindingsChange, type DesiredBindings } from '../targets/bindings/keeper.ts'
import { FastPath } from '../targets/ipset/fast-path.ts'

/** What the rules find in sets and tables beside them. */
export interface Contents {
  readonly membership: Membership
  readonly bindings: DesiredBindings
  readonly hostGroups: DesiredGroups
  /** Bridges that learn what they must not. */
  readonly learning: readonly string[]
}

export interface Drivers {
  readonly ipset: IpsetDriver
  readonly iptables: IptablesDriver
  readonly backstop: BackstopDriver
  readonly bindings: BindingsDriver
  readonly hostNetwork: HostNetworkDriver
  /** The daemon's alone: its table ends with the process. */
  readonly ownedTable?: OwnedTable
  /** Has bridges learn nothing from frames that they do not forward. Absent: only looked at. */
  readonly stopLearning?: (bridges: readonly string[]) => Promise<void>
  /** Lines of `ipset`, at once; resolves when the kernel has them. Absent: as any others. */
  readonly writeAtOnce?: (additions: readonly Additions[]) => Promise<void>
}

/** What is read by itself: the rules of one family, the second guard, what holds containers to their addresses, or those on the host's network. */
export type Part = Family | 'backstop' | 'bindings' | 'host-network'
export const PARTS: readonly Part[] = [...FAMILIES, 'backstop', 'bindings', 'host-network']

/** How much of the kernel a pass looks at. Nothing at all when only answers came: the sets are known. */
export interface Scope {
  readonly parts: ReadonlySet<Part>
  readonly headers: boolean
  /** Sets to be read whole, element by element. */
  readonly read: readonly string[]
  /** Compares every element, to renew what is half-way to its time-out. */
  readonly everything: boolean
}

/** What the kernel held when the pass looked, for counters and reports. Undefined: it did not look. */
export interface Observed {
  readonly rules: SomeFamilies
  readonly backstop: SavedBackstop | undefined
  /** A backstop that is undefined and was looked for is not there. */
  readonly parts: ReadonlySet<Part>
  /** Sets that were read whole in this pass. */
  readonly sets: readonly string[]
  /** Why rules of ours stay in the flavour of iptables that is not in use. Said only by a pass that looked at every part. */
  readonly leftoverProblem: string | undefined
}

/** Everything that would have to be written, as data. */
export interface Change {
  readonly sets: SetsChange
  readonly rules: readonly RulesChange[]
  /** Takes rules of ours out of the flavour of iptables that is not in use. */
  readonly leftovers: readonly RulesChange[]
  /** Text of the backstop; undefined: it stands. */
  readonly backstop: string | undefined
  /** What the table held beside the backstop has to be; undefined: it is, or it cannot be had. */
  readonly ownedTable: OwnedTableChange | undefined
  /** What both accept while the rules of one generation give way to those of the next: else flows would stall in between. */
  readonly meanwhile?: Backstop
  readonly bindings: BindingsChange | undefined
  readonly hostNetwork: HostNetworkChange | undefined
  readonly learning: readonly string[]
  readonly summary: readonly string[]
  readonly observed: Observed
  /** Sets that were found other than they were left. */
  readonly surprises: readonly string[]
}

/** The second guard could not be read or written; the first one stands. */
export class BackstopError extends Error {
  override readonly name = 'BackstopError'
}

/**
 * Makes the kernel hold what is desired. A pass is: look → difference → sets → rules → backstop → deletions.
 * Sets come before the rules that name them and deletions come last, because the kernel refuses anything else.
 */
export class Reconciler {
  /** What the kernel is known to hold; dropped when a write fails, so that nothing is believed. */
  readonly known = new Map<string, KnownSet>()
  #complete = false
  #backstopFailed = false
  #backstopStands = false

  readonly bindings: BindingsKeeper
  readonly hostNetwork: HostNetworkKeeper
  /** What somebody waits for goes by here, not with the passes. */
  readonly fastPath: FastPath

  /** @param onBound rights of containers stand in the kernel that did not before */
  constructor(
    private readonly drivers: Drivers,
    private readonly onBound?: () => void,
  ) {
    this.bindings = new BindingsKeeper(drivers.bindings)
    this.hostNetwork = new HostNetworkKeeper(drivers.hostNetwork)
    this.fastPath = new FastPath({
      known: this.known,
      write: drivers.writeAtOnce ?? ((additions) => drivers.ipset.write(renderAdditions(additions))),
    })
  }

  /** Was the second guard as it ought to be when it was last looked at or written? */
  get backstopStands(): boolean {
    return this.#backstopStands
  }

  /** Nothing that was known is believed any more: the next pass reads every set. */
  forget(): void {
    this.#complete = false
    this.fastPath.blind = true
  }

  /** Reads every set of ours, whole. */
  async readSets(nowMs: number): Promise<void> {
    const startMs = performance.now()
    const headers = await this.drivers.ipset.headers()
    const filled = headers.filter((header) => header.entries > 0).map((header) => header.name)
    const elements = await this.drivers.ipset.elements(filled)
    this.known.clear()
    for (const header of headers) {
      const found = elements.get(header.name) ?? []
      this.known.set(header.name, this.#withLane(knownFrom(header, found, nowMs), startMs))
    }
    this.#complete = true
    this.fastPath.blind = false
  }

  /** Looks at the kernel and computes what to write; writes nothing. */
  async plan(
    desired: Dataplane,
    { membership, bindings: bound, hostGroups, learning }: Contents,
    scope: Scope,
    nowMs: number,
  ): Promise<Change> {
    const read: string[] = []
    let surprises: string[] = []
    let all = false
    if (!this.#complete) {
      await this.readSets(nowMs)
      read.push(...this.known.keys())
      all = true
    } else {
      read.push(...(scope.headers ? await this.#suspects() : []), ...scope.read)
      surprises = await this.#readAgain([...new Set(read)], nowMs)
      all = scope.everything || surprises.length > 0
    }
    const { marks } = desired.backstop
    const [rulesRead, backstopRead, ownedTable, bindings, hostNetwork] = await Promise.all([
      this.drivers.iptables.readSome(FAMILIES.filter((family) => scope.parts.has(family))),
      scope.parts.has('backstop') ? this.#readBackstop() : undefined,
      scope.parts.has('backstop') ? this.drivers.ownedTable?.changeFor(desired.backstop) : undefined,
      this.bindings.plan(bound, scope.parts.has('bindings'), marks.rights),
      this.hostNetwork.plan(hostGroups, scope.parts.has('host-network'), marks),
    ])
    const leftovers =
      scope.parts.size === PARTS.length ? await this.drivers.iptables.leftovers() : NO_LEFTOVERS
    const observed: Observed = {
      rules: rulesRead,
      backstop: backstopRead,
      parts: scope.parts,
      sets: read,
      leftoverProblem: leftovers.problem,
    }
    const dirty = membership.takeDirty()
    const sets = diffSets(desired.sets, membership, this.known, all ? { ...dirty, all } : dirty, nowMs)
    this.fastPath.leaving(sets.leaving)
    const rules = FAMILIES.flatMap((family) => {
      const saved = rulesRead[family]
      return saved ? diffRules(desired.rules[family], saved, family) : []
    })
    if (scope.parts.has('backstop'))
      this.#backstopStands = !this.#backstopFailed && backstopInSync(desired.backstop, observed.backstop)
    const backstop =
      !scope.parts.has('backstop') || this.#backstopStands
        ? undefined
        : renderBackstop(desired.backstop, beforeOf(observed.backstop))
    const summary = [
      ...sets.summary,
      ...rules.flatMap((change) =>
        change.summary.map((line) => `IPv${change.family} ${change.table}: ${line}`),
      ),
      ...leftovers.changes.flatMap((change) =>
        change.summary.map((line) => `IPv${change.family} ${change.table} (${change.flavour}): ${line}`),
      ),
      ...(backstop === undefined ? [] : ['write the backstop table']),
      ...(ownedTable?.isNews ? ['hold the backstop table'] : []),
      ...(bindings ? [bindings.summary] : []),
      ...(hostNetwork ? [hostNetwork.summary] : []),
      ...learning.map((bridge) => `learn nothing on ${bridge} from frames that are not forwarded`),
    ]
    return {
      sets,
      rules,
      leftovers: leftovers.changes,
      backstop,
      ownedTable,
      bindings,
      hostNetwork,
      learning,
      summary,
      observed,
      surprises,
    }
  }

  /**
   * Writes a change. After any failure the sets are read again by the next pass.
   * @throws BackstopError when everything but the second guard stands.
   */
  async apply(change: Change): Promise<void> {
    await this.fastPath.landed()
    // Where nothing guards yet the backstop goes first: should the rest fail, the host is closed and not open.
    const bare = change.observed.parts.has('backstop') && change.observed.backstop === undefined
    let failed = bare ? await this.#writeBackstop(change.backstop, change.ownedTable?.desired) : undefined
    // Should it fail, flows wait for the write that follows the rules, and that one tells.
    const { meanwhile } = change
    if (!bare && meanwhile) {
      const text = renderBackstop(meanwhile, beforeOf(change.observed.backstop))
      await this.#writeBackstop(text, change.ownedTable && meanwhile)
    }
    try {
      if (change.bindings) await this.bindings.prepare(change.bindings)
      if (change.hostNetwork) await this.hostNetwork.prepare(change.hostNetwork)
      const { before, after } = change.sets
      if (change.rules.length === 0 && change.leftovers.length === 0) {
        await this.drivers.ipset.write([...before, ...after])
      } else {
        await this.drivers.ipset.write(before)
        for (const table of VERDICTS_FIRST) await this.#writeTable(change.rules, table)
        // What judged before goes when its successor stands, and before the sets that only it names.
        for (const leftover of change.leftovers) await this.drivers.iptables.write(leftover)
        await this.drivers.ipset.write(after)
      }
      change.sets.remember()
      // After the chains of the rights that they give.
      if (change.bindings) {
        await this.bindings.apply(change.bindings)
        this.onBound?.()
      }
      if (change.hostNetwork) await this.hostNetwork.apply(change.hostNetwork)
      if (change.learning.length > 0) await this.drivers.stopLearning?.(change.learning)
    } catch (error) {
      this.forget()
      throw error
    }
    if (!bare) failed = await this.#writeBackstop(change.backstop, change.ownedTable?.desired)
    if (failed) throw failed
  }

  /** The families know nothing of each other, so they are written side by side; both are waited for. */
  async #writeTable(rules: readonly RulesChange[], table: Table): Promise<void> {
    const writes = rules
      .filter((change) => change.table === table)
      .map((change) => this.drivers.iptables.write(change))
    for (const result of await Promise.allSettled(writes))
      if (result.status === 'rejected') throw result.reason
  }

  async #writeBackstop(
    plain: string | undefined,
    owned: Backstop | undefined,
  ): Promise<BackstopError | undefined> {
    let failed: BackstopError | undefined
    try {
      if (plain !== undefined) {
        await this.drivers.backstop.write(plain)
        this.#backstopFailed = false
        this.#backstopStands = true
      }
    } catch (error) {
      this.#backstopFailed = true
      this.#backstopStands = false
      failed = new BackstopError('writing the backstop table', { cause: error })
    }
    if (owned) await this.drivers.ownedTable?.write(owned)
    return failed
  }

  /** Takes the elements of these sets as they are now. */
  async refresh(sets: readonly string[], nowMs: number): Promise<void> {
    await this.#readAgain(
      sets.filter((set) => this.known.has(set)),
      nowMs,
    )
  }

  /** Sets whose header is not what was last known: flushed, missing, made anew by somebody, or with a number of elements that we did not write. */
  async #suspects(): Promise<string[]> {
    const startMs = performance.now()
    const headers = new Map((await this.drivers.ipset.headers()).map((header) => [header.name, header]))
    const suspects: string[] = []
    for (const [name, set] of this.known) {
      const header = headers.get(name)
      if (!header) {
        this.known.delete(name)
        suspects.push(name)
      } else if (shapeOf(header) !== shapeOf(set.header)) {
        this.known.set(name, { ...set, header })
        suspects.push(name)
      } else if (isManaged(set) && header.entries !== set.elements.size) {
        // Those that were written while we looked may be counted or not.
        const missing = set.elements.size - header.entries
        if (missing < 0 || missing > this.fastPath.since(name, startMs).length) suspects.push(name)
      }
    }
    return suspects
  }

  /** Names those that are not as they were left. */
  async #readAgain(sets: readonly string[], nowMs: number): Promise<string[]> {
    const present = sets.filter((name) => this.known.has(name))
    const startMs = performance.now()
    const elements = await this.drivers.ipset.elements(present)
    const surprises = sets.filter((name) => !this.known.has(name))
    for (const name of present) {
      const set = this.known.get(name)
      const found = elements.get(name)
      if (!set) continue
      if (!found) {
        this.known.delete(name)
        surprises.push(name)
        continue
      }
      const fresh = this.#withLane(knownFrom(set.header, found, nowMs), startMs)
      if (isManaged(set) && !sameElements(set, fresh)) surprises.push(name)
      this.known.set(name, fresh)
    }
    return surprises
  }

  /** A reading may have come before or after what was written meanwhile. */
  #withLane(read: KnownSet, startMs: number): KnownSet {
    for (const [element, known] of this.fastPath.since(read.header.name, startMs)) {
      const counted = read.elements.get(element)
      read.elements.set(element, counted ? { ...counted, comment: known.comment } : known)
    }
    return read
  }

  async #readBackstop(): Promise<SavedBackstop | undefined> {
    try {
      return await this.drivers.backstop.read()
    } catch (error) {
      // Half an answer is none: the next pass asks again.
      if (!(error instanceof ToolError)) throw error
      // Unreadable is not absent, but writing it anew is right in both cases, and the write tells what is wrong.
      return undefined
    }
  }
}

/** A new network is guarded by its verdict; that its sources are checked too can wait for two more processes. */
const VERDICTS_FIRST = ['filter', 'raw', 'nat'] as const satisfies readonly Table[]

const NO_LEFTOVERS: Leftovers = { changes: [], problem: undefined }

const shapeOf = ({ type, family, maxelem, hasTimeout, hasCounters, hasComment }: SetHeader): string =>
  [type, family, maxelem, hasTimeout, hasCounters, hasComment].join(' ')

/** Flow sets empty themselves. */
const isManaged = (set: KnownSet): boolean => set.header.type !== 'hash:ip,port,ip'

function sameElements(a: KnownSet, b: KnownSet): boolean {
  if (a.elements.size !== b.elements.size) return false
  for (const [element, { comment }] of a.elements)
    if (b.elements.get(element)?.comment !== comment) return false
  return true
}
