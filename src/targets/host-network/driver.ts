import * as z from 'zod'
import { HOST_NETWORK_TABLE } from '../../dataplane/names.ts'
import { ToolError, type Run } from '../../system/exec.ts'
import { classOfChain, layoutOfChain, type SavedHostNetwork } from './host-network.ts'
import { chain, verdict } from '../nftables/listing.ts'
import { isNoTable } from '../nftables/no-table.ts'

const listing = z.object({
  nftables: z.array(
    z.looseObject({
      rule: z.looseObject({ comment: z.string().optional() }).optional(),
      map: z
        .looseObject({
          elem: z.array(z.tuple([z.union([z.string(), z.number()]), verdict])).default([]),
        })
        .optional(),
      chain: chain.optional(),
    }),
  ),
})

/** @throws Error when it is no listing. */
export function parseHostNetwork(text: string): SavedHostNetwork {
  const { nftables } = listing.parse(JSON.parse(text))
  const hooked = nftables.some(({ chain }) => chain?.hook === 'output' && chain.prio === -1)
  const fingerprints = nftables.flatMap(({ rule }) =>
    rule ? [/\[([0-9a-f]{8})\]$/.exec(rule.comment ?? '')?.[1]] : [],
  )
  const elements = nftables.flatMap(({ map }) => map?.elem ?? [])
  const isGone = (path: string | number): boolean => /^\d+$/.test(`${path}`)
  return {
    // A chain that is not attached to its hook marks nothing, whatever rules it has.
    fingerprints: hooked ? fingerprints : [undefined, ...fingerprints],
    classes: new Map(
      elements
        .filter(([path]) => !isGone(path))
        .map(([path, { goto }]) => [`${path}`, goto && classOfChain(goto.target)]),
    ),
    gone: elements.filter(([path]) => isGone(path)).length,
    layouts: new Set(
      nftables.flatMap(({ chain }) =>
        chain?.name?.startsWith('class-') ? [layoutOfChain(chain.name) ?? ''] : [],
      ),
    ),
  }
}

/** Writes that leave out groups which ended in the meantime, before it is given up. */
const MOST_TRIES = 5

/** Reads and writes the table that marks packets of containers on the host's network, through `nft`. */
export class HostNetworkDriver {
  constructor(private readonly run: Run) {}

  /** Undefined: there is no such table. */
  async read(): Promise<SavedHostNetwork | undefined> {
    try {
      const { stdout } = await this.run(['nft', '-j', 'list', 'table', 'inet', HOST_NETWORK_TABLE])
      return parseHostNetwork(stdout)
    } catch (error) {
      if (isNoTable(error)) return undefined
      throw error
    }
  }

  /** As the kernel's tool prints it; empty when there is no such table. */
  async raw(): Promise<string> {
    if ((await this.read()) === undefined) return ''
    return (await this.run(['nft', 'list', 'table', 'inet', HOST_NETWORK_TABLE])).stdout
  }

  /** One transaction. The tool refuses groups that ended since they were looked up, so these are left out. */
  async write(text: string): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.run(['nft', '-f', '-'], { input: text })
        return
      } catch (error) {
        const gone = error instanceof ToolError ? goneLines(error.stderr) : new Set<number>()
        if (gone.size === 0 || tries === MOST_TRIES) throw error
        text = text
          .split('\n')
          .filter((_, index) => !gone.has(index + 1))
          .join('\n')
      }
    }
  }
}

/** `/dev/stdin:7:50-60: Error: cgroupv2 path fails: No such file or directory` */
const goneLines = (stderr: string): ReadonlySet<number> =>
  new Set(
    [...stderr.matchAll(/^[^:\n]+:(\d+):[\d-]+: Error: cgroupv2 path fails/gm)].map(([, line]) =>
      Number(line),
    ),
  )
