import type { SavedAgain } from '../../src/targets/bindings/rights-again.ts'

/** What the kernel would hold of the table that looks rights up again, were this text written. */
export function savedAgain(text: string): SavedAgain {
  const fingerprints = new Map<string, string[]>()
  let chain = ''
  for (const line of (text.split('table inet embargod-bindings {\n')[1] ?? '').split('\n')) {
    const named = /^ {2}chain (\S+) \{/.exec(line) ?? /^add chain \S+ \S+ (\S+)/.exec(line)
    if (named?.[1] !== undefined) {
      chain = named[1]
      fingerprints.set(chain, fingerprints.get(chain) ?? [])
    }
    const rule = /\[([0-9a-f]{8})\]"$/.exec(line)?.[1]
    if (rule !== undefined) fingerprints.get(chain)?.push(rule)
  }
  return { fingerprints, hooked: fingerprints.size > 0 }
}
