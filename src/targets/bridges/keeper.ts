import type { DesiredState, Keeper, TargetChange } from '../keeper.ts'

export interface BridgesChange extends TargetChange {
  readonly bridges: readonly string[]
}

/** Has bridges learn no addresses from frames that they do not forward. Which bridges still do is one of the host facts. */
export class BridgesKeeper implements Keeper<BridgesChange> {
  /** @param stopLearning absent: the setting is only looked at */
  constructor(private readonly stopLearning: ((bridges: readonly string[]) => Promise<void>) | undefined) {}

  async look(): Promise<void> {
    // The host facts say it.
  }

  plan({ learning: bridges }: Pick<DesiredState, 'learning'>): BridgesChange | undefined {
    if (bridges.length === 0) return undefined
    const summary = bridges.map((bridge) => `learn nothing on ${bridge} from frames that are not forwarded`)
    return { bridges, summary, drift: [] }
  }

  async apply({ bridges }: BridgesChange): Promise<void> {
    await this.stopLearning?.(bridges)
  }
}
