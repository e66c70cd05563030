import type { Action } from '../cli/command.ts'
import { EXIT } from '../cli/command.ts'
import type { ExplainArgs } from '../cli/explain.ts'
import type { CallDaemon } from '../control/client.ts'
import { askUnlessSilent } from '../control/silence.ts'
import { jsonText, sanitise } from '../observe/sanitise.ts'
import type { Run } from '../system/exec.ts'
import { askEngine } from '../workloads/docker/ask-engine.ts'
import { addressOwnerText } from './address-owners.ts'
import { explanationOf, type Explanation } from './explanation.ts'

/** Says whether a connection would pass, and which rule decides it. */
export const explainAction =
  (daemon: CallDaemon, run: Run, engineAt: typeof askEngine = askEngine): Action<ExplainArgs> =>
  async (args, io) => {
    const { ask } = askUnlessSilent(daemon, io.stderr)
    const explanation = await explanationOf(args, { ask, run, engineAt })
    if (typeof explanation === 'string') {
      io.stderr.write(`embargod: ${sanitise(explanation)}\n`)
      return EXIT.failed
    }
    io.stdout.write(args.json ? jsonText(explanation) : inWords(explanation, io.color))
    return explanation.allowed ? EXIT.ok : EXIT.denied
  }

function inWords(
  { allowed, source, network, destination, port, protocol, because, addresses, belongings = [] }: Explanation,
  color: boolean,
): string {
  const paint = (code: number, text: string): string => (color ? `\u001B[${code}m${text}\u001B[0m` : text)
  const verdict = (yes: boolean): string => (yes ? paint(32, 'allowed') : paint(31, 'denied'))
  const via = network === undefined ? '' : ` (network ${network})`
  const to = `${destination}${port === undefined ? '' : ` port ${port}`}/${protocol}`
  const lines = [
    `${verdict(allowed)}: ${source}${via} to ${to}`,
    `  because ${because}`,
    ...belongings.map((one) => `  ${addressOwnerText(one)}`),
  ]
  for (const judgement of addresses) {
    if (addresses.length > 1)
      lines.push(`  ${judgement.address}: ${verdict(judgement.allowed)}, ${judgement.because}`)
    lines.push(...judgement.path.map((step) => `    ${step}`))
    lines.push(...judgement.provisos.map((proviso) => `    ${proviso}`))
  }
  return `${lines.map(sanitise).join('\n')}\n`
}
