import * as z from 'zod'
import { BINDINGS_TABLE } from '../../dataplane/names.ts'
import { ToolError, type Run } from '../../system/exec.ts'
import { chain, verdict } from '../nftables/listing.ts'
import { isNoTable } from '../nftables/no-table.ts'
import type { SavedBindings } from './render.ts'
import { AGAIN_PRIORITY, type SavedAgain } from './rights-again.ts'

const key = z.union([z.string(), z.number()])
const element = z.union([key, z.object({ concat: z.array(key) })])
const listing = z.object({
  nftables: z.array(
    z.looseObject({
      rule: z.looseObject({ chain: z.string().optional(), comment: z.string().optional() }).optional(),
      counter: z.looseObject({ name: z.string(), packets: z.number() }).optional(),
      set: z.looseObject({ name: z.string(), elem: z.array(element).default([]) }).optional(),
      map: z
        .looseObject({
          name: z.string(),
          elem: z.array(z.tuple([element, z.union([z.number(), verdict])])).default([]),
        })
        .optional(),
      chain: chain.optional(),
    }),
  ),
})

/**
 * @param again of the table that looks rights up again; undefined: there is none
 * @throws Error when it is no listing.
 */
export function parseBindings(text: string, again: string | undefined): SavedBindings {
  const { nftables } = listing.parse(JSON.parse(text))
  const more = again === undefined ? [] : listing.parse(JSON.parse(again)).nftables
  const packetsOf = (name: string): number =>
    nftables.find(({ counter }) => counter?.name === name)?.counter?.packets ?? 0
  const hooked = nftables.some(({ chain }) => chain?.hook === 'prerouting' && chain.prio === -300)
  const fingerprints = nftables.flatMap(({ rule }) =>
    rule ? [/\[([0-9a-f]{8})\]$/.exec(rule.comment ?? '')?.[1]] : [],
  )
  const elements = new Map<string, ReadonlySet<string>>()
  for (const { set, map } of [...nftables, ...more]) {
    if (set) elements.set(set.name, new Set(set.elem.map((one) => textOf(one, set.name))))
    if (map)
      elements.set(
        map.name,
        new Set(map.elem.map(([one, value]) => `${textOf(one, map.name)} : ${valueOf(value)}`)),
      )
  }
  // A chain that is not attached to its hook binds no container, whatever rules it has.
  return {
    fingerprints: hooked ? fingerprints : [undefined, ...fingerprints],
    elements,
    dropped: { forged: packetsOf('forged'), claimed: packetsOf('claimed') },
    again: readAgain(more),
  }
}

function readAgain(more: z.output<typeof listing>['nftables']): SavedAgain {
  const chains = more.flatMap(({ chain }) => (chain ? [chain] : []))
  const fingerprints = new Map(chains.map(({ name = '' }): [string, (string | undefined)[]] => [name, []]))
  for (const { rule } of more)
    if (rule) fingerprints.get(rule.chain ?? '')?.push(/\[([0-9a-f]{8})\]$/.exec(rule.comment ?? '')?.[1])
  const hooked = ['forward', 'input'].every((hook) =>
    chains.some((chain) => chain.name === hook && chain.hook === hook && chain.prio === AGAIN_PRIORITY),
  )
  return { fingerprints, hooked }
}

const valueOf = (value: number | z.output<typeof verdict>): string =>
  typeof value === 'number' ? `0x${value.toString(16).padStart(8, '0')}` : `goto ${value.goto?.target ?? ''}`

function textOf(one: z.output<typeof element>, set: string): string {
  const parts = typeof one === 'object' ? one.concat : [one]
  const beginsWithName = !set.startsWith('again') && (parts.length > 1 || set === 'ports' || set === 'spared')
  return parts.map((part, index) => (index === 0 && beginsWithName ? `"${part}"` : `${part}`)).join(' . ')
}

/** Reads and writes the table that binds containers to their addresses, through `nft`. */
export class BindingsDriver {
  constructor(private readonly run: Run) {}

  /** Undefined: there is none of both tables. */
  async read(): Promise<SavedBindings | undefined> {
    const [bridge, again] = await Promise.all([this.#list('bridge', '-j'), this.#list('inet', '-j')])
    if (bridge !== undefined) return parseBindings(bridge, again)
    if (again === undefined) return undefined
    // Without the bindings, the second look-up says nothing about senders.
    return { ...parseBindings('{"nftables": []}', again), again: { fingerprints: new Map(), hooked: false } }
  }

  /** For commands: on a host that does not support such a table there is none. */
  async look(): Promise<{ readonly saved: SavedBindings | undefined; readonly canBind: boolean }> {
    try {
      return { saved: await this.read(), canBind: true }
    } catch (error) {
      if (!(error instanceof ToolError)) throw error
      return { saved: undefined, canBind: false }
    }
  }

  /** As the kernel's tool prints it; empty when there is no such table. */
  async raw(): Promise<string> {
    if ((await this.look()).saved === undefined) return ''
    const texts = await Promise.all([this.#list('bridge'), this.#list('inet')])
    return texts.join('')
  }

  /** Undefined: there is no such table. */
  async #list(family: 'bridge' | 'inet', ...options: readonly string[]): Promise<string | undefined> {
    try {
      return (await this.run(['nft', ...options, 'list', 'table', family, BINDINGS_TABLE])).stdout
    } catch (error) {
      if (isNoTable(error)) return undefined
      throw error
    }
  }

  /** One transaction: all of it or nothing. */
  async write(text: string): Promise<void> {
    await this.run(['nft', '-f', '-'], { input: text })
  }
}
