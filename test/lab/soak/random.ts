import { createHash } from 'node:crypto'

/** Numbers that follow from a seed and a step alone: what one step draws never moves what a later one does. */
export class Random {
  private drawn = 0

  constructor(
    private readonly seed: number,
    private readonly step: number,
  ) {}

  /** From 0 to below `limit`, a whole number. */
  below(limit: number): number {
    const digest = createHash('sha256').update(`${this.seed} ${this.step} ${this.drawn}`).digest()
    this.drawn += 1
    return Math.floor((digest.readUInt32BE(0) / 2 ** 32) * limit)
  }

  /** Rejects an empty list by throwing. */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('nothing to pick from')
    return list[this.below(list.length)] as T
  }

  /** One of them, each as often as its weight says. */
  weighted<T extends { readonly weight: number }>(list: readonly T[]): T {
    let left = this.below(list.reduce((sum, { weight }) => sum + weight, 0))
    for (const one of list) {
      left -= one.weight
      if (left < 0) return one
    }
    throw new Error('nothing to pick from')
  }
}
