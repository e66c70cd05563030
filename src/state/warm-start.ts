import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import { hostConfigEnv } from '../config/env.ts'
import { MAX_LIST_BYTES } from '../config/load.ts'
import { readTrusted } from '../config/read-file.ts'
import type { Dataplane } from '../dataplane/model.ts'
import type { Membership } from '../dataplane/membership.ts'
import { diffRules } from '../targets/iptables/diff.ts'
import { renderAdd, renderCreate } from '../targets/ipset/render.ts'
import { secondsToKeep } from '../targets/ipset/time-left.ts'
import { FAMILIES } from '../net/types.ts'
import { atBoot } from '../targets/backstop/boot.ts'
import { renderBackstop } from '../targets/backstop/render.ts'
import type { Policies } from '../policy/model.ts'
import { writeAtomically } from '../system/atomic-file.ts'
import { readOwn } from '../system/own-file.ts'
import type { StateFormat } from './state-store.ts'
import { VERSION } from '../version.ts'
import type { IpsetDriver } from '../targets/ipset/driver.ts'
import type { IptablesDriver } from '../targets/iptables/driver.ts'
import type { BackstopDriver } from '../targets/backstop/driver.ts'

/**
 * What the kernel held last, ready to be written again before the config is parsed. With 100,000 addresses a boot is then as fast as the tools
 * are. It can be used by the same version with the same config only, and the first pass checks everything after it.
 */
export interface WarmStart {
  readonly program: string
  /** Digest of the policy. The saved generation has the same digest unless a right was taken away since. */
  readonly digest: string
  /** Every file of the config with the hash of its text. */
  readonly files: readonly { readonly file: string; readonly hash: string }[]
  /** The moment when the first right ends, epoch ms. */
  readonly validUntilMs: number | undefined
  readonly dataplane: Dataplane
  /** Elements whose rights end by themselves. They are not in {@link ELEMENTS_FILE}, since the time that they have left depends on when the host boots. */
  readonly ending: readonly EndingElement[]
  /** Hash of {@link ELEMENTS_FILE}, which is written first. */
  readonly elements: string
}

interface EndingElement {
  readonly set: string
  readonly element: string
  readonly comment: string
  readonly endMs: number
}

interface WarmStartDrivers {
  readonly ipset: Pick<IpsetDriver, 'write' | 'writeFile'>
  readonly iptables: Pick<IptablesDriver, 'read' | 'write'>
  readonly backstop: Pick<BackstopDriver, 'write'>
}

/** The lines that fill the sets. ipset reads the file by itself, since a hundred thousand lines would keep our event loop busy. */
export const ELEMENTS_FILE = 'warm-start.ipset'

export const WARM_START = 'warm-start'

/** Only embargod writes this file, in its own directory. So only those fields are checked that decide whether it may be used. */
export const savedWarmStart: StateFormat<WarmStart> = {
  version: 1,
  schema: z.custom<WarmStart>(
    (value) =>
      z
        .object({
          program: z.string(),
          digest: z.string(),
          files: z.array(z.object({ file: z.string(), hash: z.string() })),
          validUntilMs: z.number().optional(),
          ending: z.array(
            z.object({ set: z.string(), element: z.string(), comment: z.string(), endMs: z.number() }),
          ),
          dataplane: z.object({ rules: z.unknown(), sets: z.array(z.unknown()), backstop: z.unknown() }),
          elements: z.string(),
        })
        .safeParse(value).success,
  ),
}

/** Writes {@link ELEMENTS_FILE} and returns what belongs into the state file. */
export async function makeWarmStart(
  directory: string,
  dataplane: Dataplane,
  membership: Membership,
  sources: readonly { readonly file: string; readonly text: string }[],
  { digest, nextEndMs }: Pick<Policies, 'digest' | 'nextEndMs'>,
): Promise<WarmStart> {
  const lines: string[] = []
  const ending: EndingElement[] = []
  for (const set of dataplane.sets) {
    const { name, timeout } = set
    // The sets exist by then. But for a set that was not created in the same input, ipset asks the kernel at every line, which takes twice the time.
    if (membership.sizeOf(name) > 0) lines.push(renderCreate(set))
    for (const element of membership.elementsOf(name)) {
      const comment = membership.commentOf(name, element) ?? ''
      const endMs = membership.endOf(name, element)
      if (endMs === Infinity) lines.push(renderAdd(name, { element, timeoutSeconds: timeout, comment }))
      else ending.push({ set: name, element, comment, endMs })
    }
  }
  const elements = `${lines.join('\n')}\n`
  await writeAtomically(join(directory, ELEMENTS_FILE), elements, { makeDirectory: true })
  const files = sources.map(({ file, text }) => ({ file, hash: hashOf(text) }))
  return {
    program: VERSION,
    digest,
    files,
    validUntilMs: nextEndMs,
    dataplane,
    ending,
    elements: hashOf(elements),
  }
}

/** Was it written by this version, for the config as its files are now? */
export async function isCurrent(warm: WarmStart, configFile: string, nowMs: number): Promise<boolean> {
  if (warm.program !== VERSION || warm.files[0]?.file !== configFile) return false
  if (warm.validUntilMs !== undefined && warm.validUntilMs <= nowMs) return false
  const known = new Set(warm.files.map(({ file }) => file))
  const confD = join(dirname(configFile), 'conf.d')
  const added = (await hostConfigEnv.list(confD).catch(() => [])).filter(
    (name) => name.endsWith('.yaml') && !name.startsWith('.') && !known.has(join(confD, name)),
  )
  if (added.length > 0) return false
  const found = await Promise.all(
    warm.files.map(({ file }) => readTrusted(hostConfigEnv, file, MAX_LIST_BYTES)),
  )
  return found.every((one, index) => 'text' in one && hashOf(one.text) === warm.files[index]?.hash)
}

/**
 * Writes it to a kernel that holds nothing of ours, in the order of every pass: the backstop, the sets, then the rules. Resolves when the rules
 * stand. The sets are being filled until `filled` resolves; until then the host allows less, not more.
 */
export async function applyWarmStart(
  directory: string,
  warm: WarmStart,
  drivers: WarmStartDrivers,
  now: () => number = Date.now,
): Promise<{ readonly filled: Promise<void> }> {
  const { dataplane, elements } = warm
  const file = join(directory, ELEMENTS_FILE)
  const create = async (): Promise<{ readonly filled: Promise<void> }> => {
    const [text] = await Promise.all([readOwn(file), drivers.ipset.write(dataplane.sets.map(renderCreate))])
    if (text === undefined || hashOf(text) !== elements)
      throw new Error(`${file} is not of the same moment as the rest`)
    const filled = drivers.ipset.writeFile(file).then(() => drivers.ipset.write(endingLines(warm, now())))
    // The caller gets the error from `filled`.
    filled.catch(() => undefined)
    return { filled }
  }
  const creating = create()
  try {
    const [saved] = await Promise.all([
      drivers.iptables.read(),
      drivers.backstop.write(renderBackstop(atBoot(dataplane.backstop))),
      creating,
    ])
    const changes = FAMILIES.flatMap((family) => diffRules(dataplane.rules[family], saved[family], family))
    await Promise.all(changes.map((change) => drivers.iptables.write(change)))
    return await creating
  } catch (error) {
    // The first pass must not compare sets that are still being filled.
    await creating.then(({ filled }) => filled).catch(() => undefined)
    throw error
  }
}

function endingLines({ dataplane, ending }: WarmStart, nowMs: number): string[] {
  const timeouts = new Map(dataplane.sets.map(({ name, timeout }) => [name, timeout]))
  return ending.flatMap(({ set, element, comment, endMs }) => {
    const timeoutSeconds = secondsToKeep(endMs, timeouts.get(set) ?? 0, nowMs)
    return timeoutSeconds === undefined ? [] : [renderAdd(set, { element, timeoutSeconds, comment })]
  })
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')
