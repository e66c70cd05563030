import { execa } from 'execa'

/** Runs a program of the machine that builds, with its environment; rejects with what it wrote, when it fails. */
export async function tool(
  argv: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const [file, ...args] = argv
  return (await execa(file, args, { env: { LC_ALL: 'C', ...env }, stdin: 'ignore' })).stdout
}
