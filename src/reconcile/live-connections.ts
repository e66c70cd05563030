import { generationMark, marksOf } from '../config/marks.ts'
import type { Flow } from '../dataplane/flow.ts'
import { FAMILIES } from '../net/types.ts'
import type { ConntrackDriver } from '../targets/conntrack/driver.ts'
import type { Desired } from './desired.ts'
import { misread, type Generation } from './generation.ts'
import type { GenerationChange } from './generation-change.ts'
import { hostAddressesOf } from './judgement.ts'

/** In one pass: each is a process of its own. */
const MOST_FORGOTTEN = 500

/** The kernel's connections while a generation gives way to the next: which there are, and which the kernel has to forget. */
export class LiveConnections {
  readonly #conntrack: ConntrackDriver
  readonly #desired: Desired
  readonly #generations: GenerationChange
  readonly #onUnforgotten: (why: unknown) => void
  /** Revoked flows between containers. The kernel forgets them once the rules are in force; where it refuses, the next pass tries again. */
  #revokedBetween: readonly Flow[] = []

  constructor(options: {
    readonly conntrack: ConntrackDriver
    readonly desired: Desired
    readonly generations: GenerationChange
    readonly onUnforgotten: (why: unknown) => void
  }) {
    this.#conntrack = options.conntrack
    this.#desired = options.desired
    this.#generations = options.generations
    this.#onUnforgotten = options.onUnforgotten
  }

  /** The flows that the next generation has to judge. */
  async flows(next: Generation): Promise<Flow[]> {
    const marks = marksOf(this.#desired.config)
    // Connections that bear the new mark from 255 generations ago must not pass for admitted. After a pass that failed, live ones bear it.
    if (!this.#generations.hasBegun(next))
      await this.#conntrack.deleteMarked(generationMark(marks, next.generation), marks.generation)
    await this.forgetMisread(next)
    const flows = (await Promise.all(FAMILIES.map((family) => this.#conntrack.flows(family)))).flat()
    const hostAddresses = hostAddressesOf(this.#desired)
    const { generation: mask } = this.#generations.current.marks ?? marks
    // The host's own flows are judged only if our rules have admitted them.
    return flows.filter(({ source, mark }) => !hostAddresses.has(source) || (mark & mask) !== 0)
  }

  /** Forgets connections whose mark of an earlier layout would be read as an admission by the next generation. */
  async forgetMisread(next: Generation): Promise<void> {
    const marks = marksOf(this.#desired.config)
    for (const was of this.#generations.bearings(marks))
      for (const { mark, mask } of misread(was, { generation: next.generation, marks }))
        await this.#conntrack.deleteMarked(mark, mask)
  }

  /** These flows between containers are to be forgotten, in place of earlier ones. */
  revoke(between: readonly Flow[]): void {
    this.#revokedBetween = between
  }

  /** To be called when the rules are in force: a packet of a container whose connection is forgotten is judged like a packet that it sends by itself. */
  async forgetRevoked(): Promise<void> {
    if (this.#revokedBetween.length === 0) return
    try {
      await this.#conntrack.forget(this.#revokedBetween.slice(0, MOST_FORGOTTEN))
      this.#revokedBetween = this.#revokedBetween.slice(MOST_FORGOTTEN)
      const { length } = this.#revokedBetween
      this.#onUnforgotten(length === 0 ? undefined : new Error(`${length} are left to the next pass`))
    } catch (error) {
      this.#onUnforgotten(error)
    }
  }
}
