import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import type { Call, Fault, FaultTools } from './fault-tools.ts'
import type { Lab } from './lab.ts'
import { fetchPage } from './web.ts'

/** What a pass is asked to do, and how one sees from outside that it has been done. */
export interface Scene {
  readonly what: string
  /** Both guards stand when it begins. */
  readonly guarded: boolean
  /** Begins where the scene begins, with sound tools. */
  prepare(): Promise<void>
  /** Makes a pass happen. */
  trigger(): Promise<void>
  /** True when containers see that the pass has had its effect. */
  isDone(): Promise<boolean>
}

/** Slow answers of a busy machine, three of the longest time limits of a tool, and the longest wait between two tries. */
const CONVERGES_MS = 90_000

/** Refused at once, so that seeing that something is closed takes no time. */
const QUICK = 'resolver: { timeout: 1s, refresh: { min: 1s, max: 1s } }\ndenyWith: reject'
/** Two policies with different rules and different sets, so that going from one to the other takes every kind of step. */
const RED = `${QUICK}\nallow: [{ cidr: 203.0.113.12, ports: [80/tcp] }, allowed.example, moving.example]`
const BLUE = `${QUICK}\nallow: [{ cidr: 203.0.113.13, ports: [443/tcp] }, { cidr: 203.0.113.14, ports: [80/tcp] }, moving.example]\nsmtp: {}`
const [RED_ONLY, BLUE_ONLY] = ['203.0.113.12', '203.0.113.14']

/** The scenes, in one lab with one daemon at a time. */
export class FaultScenes {
  daemon: Daemon | undefined
  #moved = 100
  /** What the daemon that runs was given last. */
  #config: string | undefined
  #ended: number | undefined

  constructor(
    private readonly lab: Lab,
    private readonly tools: FaultTools,
    private readonly from: LabContainer,
  ) {}

  readonly first: Scene = {
    what: 'the first pass on a host',
    guarded: false,
    prepare: async () => {
      await this.stop()
      await this.#cleanup()
    },
    trigger: () => this.#start(BLUE),
    isDone: () => this.#isBlue(),
  }

  readonly start: Scene = {
    what: 'the first pass of a process on a guarded host',
    guarded: true,
    prepare: async () => {
      await this.stop()
      await this.#start(RED, true)
      await this.stop()
    },
    trigger: () => this.#start(BLUE),
    isDone: () => this.#isBlue(),
  }

  readonly reload: Scene = {
    what: 'a reload that takes a right away and gives another',
    guarded: true,
    prepare: () => this.#running(RED),
    trigger: async () => {
      this.#config = BLUE
      await this.daemon?.hup(BLUE)
    },
    isDone: () => this.#isBlue(),
  }

  readonly answer: Scene = {
    what: 'an answer',
    guarded: true,
    prepare: async () => {
      await this.#running(RED)
      this.#moved = 100 + ((this.#moved - 99) % 150)
    },
    trigger: () => this.lab.inet.dns({ 'moving.example': { a: [this.#movedTo], ttl: 1 } }),
    isDone: () => this.#reaches(this.#movedTo),
  }

  readonly drift: Scene = {
    what: 'the repair of rules and sets',
    guarded: true,
    prepare: () => this.#running(RED),
    trigger: async () => {
      const ours = (await this.lab.host(['ipset', 'list', '-n'])).stdout.match(/^embargod-common\S*$/gm) ?? []
      expect(ours.length).toBeGreaterThan(0)
      for (const set of ours) await this.lab.host(['ipset', 'flush', set])
      await this.lab.host(['iptables', '-F', 'DOCKER-USER'])
      await this.lab.host(['ip6tables', '-F', 'EMBARGOD'])
    },
    isDone: () => this.#reaches(RED_ONLY),
  }

  readonly secondGuard: Scene = {
    what: 'the repair of the second guard',
    guarded: true,
    prepare: () => this.#running(RED),
    trigger: async () => void (await this.lab.host(['nft', 'delete', 'table', 'inet', 'embargod-guard'])),
    isDone: async () =>
      (await this.lab.host(['nft', 'list', 'table', 'inet', 'embargod-guard'], { okExitCodes: [1] }))
        .exitCode === 0,
  }

  get all(): readonly Scene[] {
    return [this.first, this.start, this.reload, this.answer, this.drift, this.secondGuard]
  }

  /** The calls that a scene takes when nothing is spoiled: what of them a timer adds differs from time to time. */
  async callsOf(scene: Scene): Promise<readonly Call[]> {
    await scene.prepare()
    await this.tools.forget()
    await scene.trigger()
    await this.lab.waitFor('containers see it', () => scene.isDone(), CONVERGES_MS)
    // What comes after what containers see, as the second guard, comes at once.
    await sleep(500)
    const calls = await this.tools.calls()
    await this.settled(() => scene.isDone())
    return calls
  }

  /** Plays a scene with one call spoiled, until all is well again; false: the call never came. Rejects when it is not well in time. */
  async play(scene: Scene, call: Call, fault: Fault): Promise<boolean> {
    await scene.prepare()
    await this.tools.spoil(call, fault)
    await scene.trigger()
    const deadlineMs = Date.now() + 6_000
    while (!(await this.tools.wasPlayed()) && Date.now() < deadlineMs) await sleep(50)
    const played = await this.tools.wasPlayed()
    await this.settled(() => scene.isDone())
    await this.tools.forget()
    return played
  }

  /** Waits until containers see it, and the daemon says that it is healthy and that there is nothing to do. */
  async settled(isDone: () => Promise<boolean>): Promise<void> {
    const config = this.lab.embargod.configFile
    const lives = async (): Promise<boolean> => {
      if (this.#ended !== undefined) throw new Error(`the daemon ended with ${this.#ended}`)
      return true
    }
    await this.lab.waitFor('containers see it', async () => (await lives()) && isDone(), CONVERGES_MS)
    await this.lab.waitFor(
      'it is healthy',
      async () => (await this.lab.cli(['status'])).code === 0,
      CONVERGES_MS,
    )
    await this.lab.waitFor(
      'there is nothing to do',
      async () => (await this.lab.cli(['plan', '--config', config], { timeoutMs: 60_000 })).code === 0,
      CONVERGES_MS,
    )
  }

  async stop(): Promise<void> {
    const { daemon } = this
    this.daemon = undefined
    await daemon?.term()
  }

  get #movedTo(): string {
    return `203.0.113.${this.#moved}`
  }

  async #start(config: string, wait = false): Promise<void> {
    this.#ended = undefined
    this.#config = config
    const daemon = await this.lab.daemon({ config, env: this.tools.env, wait })
    this.daemon = daemon
    void daemon.ended.then((code) => {
      if (this.daemon === daemon) this.#ended = code
    })
  }

  async #running(config: string): Promise<void> {
    if (this.daemon && this.#config === config) return
    if (this.daemon) await this.daemon.hup(config)
    else await this.#start(config, true)
    this.#config = config
    await this.settled(() => this.#reaches(config === RED ? RED_ONLY : BLUE_ONLY))
  }

  async #isBlue(): Promise<boolean> {
    return (await this.#reaches(BLUE_ONLY)) && !(await this.#reaches(RED_ONLY))
  }

  async #reaches(address: string): Promise<boolean> {
    return (await fetchPage(this.from, `http://${address}/`, { timeoutMs: 2000 })).code === 0
  }

  async #cleanup(): Promise<void> {
    expect(await this.lab.cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
    await rm(this.lab.embargod.stateDirectory, { recursive: true, force: true })
  }
}
