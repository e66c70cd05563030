import type { LabContainer } from './container.ts'
import type { Lab } from './lab.ts'

export interface ReachOptions {
  readonly family?: 4 | 6
  /** How long each attempt may take: a dropped packet costs all of it. */
  readonly seconds?: number
}

const CURL = ['curl', '-sgZ', '--parallel-immediate', '--parallel-max', '100']

/** The origins (`http://name:port`) that answer a container with a page; all are tried side by side. */
export async function reached(
  from: LabContainer,
  origins: readonly string[],
  options: ReachOptions = {},
): Promise<readonly string[]> {
  const { family, seconds = 4 } = options
  const argv = [
    ...CURL,
    '--max-time',
    String(seconds),
    ...(family === undefined ? [] : [`-${family}`]),
    '-w',
    '%{urlnum} %{exitcode}\\n',
    ...origins.flatMap((origin) => ['-o', '/dev/null', origin]),
  ]
  const { stdout, stderr } = await from.exec(argv, { timeoutMs: (seconds + 15) * 1000 })
  const codes = new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number))
      .map(([index, code]) => [index, code]),
  )
  if (codes.size !== origins.length) throw new Error(`trying ${origins.join(' ')}: ${stdout}${stderr}`)
  return origins.filter((_, index) => codes.get(index) === 0)
}

export const origin = (address: string, port = 80): string =>
  `http://${address.includes(':') ? `[${address}]` : address}:${port}`

/** Addresses that the little internet has beside its own, for networks that are not public. */
export async function addInternetAddresses(lab: Lab, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const prefix = address.includes(':') ? `${address}/128` : `${address}/32`
    await lab.internet([
      'ip',
      'address',
      'add',
      prefix,
      'dev',
      'lo',
      ...(address.includes(':') ? ['nodad'] : []),
    ])
  }
}
