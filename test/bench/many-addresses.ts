import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DnsScript } from '../lab/dns-script.ts'
import type { Lab } from '../lab/lab.ts'

/** The i-th of many public addresses; none of them is in the lab's own ranges. */
export function addressAt(index: number): string {
  return `20.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`
}

export interface ManyNames {
  readonly names: number
  /** For each name. */
  readonly addresses: number
}

/** 100,000 addresses, as the figures want them. */
export const HUNDRED_THOUSAND: ManyNames = { names: 10_000, addresses: 10 }

const nameAt = (index: number): string => `n${index}.bench.example.com`
const addressesOf = (index: number, { addresses }: ManyNames): string[] =>
  Array.from({ length: addresses }, (_, i) => addressAt(index * addresses + i))

/** Writes a list file beside the config; returns how the config names it. */
export async function writeList(lab: Lab, file: string, lines: readonly string[]): Promise<string> {
  const path = join(dirname(lab.embargod.configFile), 'lists', file)
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  await writeFile(path, `${lines.join('\n')}\n`, { mode: 0o644 })
  return `lists/${file}`
}

export const writeNames = (lab: Lab, many: ManyNames): Promise<string> =>
  writeList(
    lab,
    'names.txt',
    Array.from({ length: many.names }, (_, index) => nameAt(index)),
  )

/** The state that an earlier daemon left: every name answered a minute ago. */
export async function writeAddresses(lab: Lab, many: ManyNames): Promise<void> {
  const nowMs = Date.now()
  const names = Array.from({ length: many.names }, (_, index) => {
    const held = addressesOf(index, many)
    return {
      name: nameAt(index),
      lastSuccessMs: nowMs - 60_000,
      held,
      seen: held.map(() => nowMs - 60_000),
      expires: held.map(() => nowMs + 600_000),
      past: [],
    }
  })
  const { stateDirectory } = lab.embargod
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 })
  const text = JSON.stringify({ version: 1, writtenAtMs: nowMs, body: { version: 1, names } })
  await writeFile(join(stateDirectory, 'addresses.json'), text, { mode: 0o600 })
}

/** What the little internet's DNS server answers for these names. */
export function scriptsOf(many: ManyNames, ttl: number): Record<string, DnsScript> {
  return Object.fromEntries(
    Array.from({ length: many.names }, (_, index) => [
      nameAt(index),
      { a: addressesOf(index, many), ttl } satisfies DnsScript,
    ]),
  )
}
