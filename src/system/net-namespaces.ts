import type { Run } from './exec.ts'
import { LineSession } from './line-session.ts'

/** Asks for the host's numbers of the network namespaces of processes. Processes that have ended, or whose namespace has no number, are left out. */
export type AskNamespaces = (pids: readonly number[]) => Promise<ReadonlyMap<number, number>>

/** Starts a process for each question. */
export const askNamespaces =
  (run: Run): AskNamespaces =>
  async (pids) => {
    if (pids.length === 0) return new Map()
    const { stdout } = await run(['perl', '-e', PROGRAM], { input: `${pids.join(' ')}\nend\n` })
    const lines = stdout.split('\n').filter((line) => line !== '')
    if (lines.pop() !== 'end') throw new Error('asking for network namespaces: the answer is cut off')
    return parseAnswer(lines)
  }

/** Asks a process that stays, since a container that starts waits for the answer. */
export class NamespaceSession {
  readonly #once: AskNamespaces
  readonly #session = new LineSession({
    argv: ['perl', '-e', PROGRAM],
    marker: { question: 'end', answer: /^end$/m },
    onEnd: () => undefined,
  })

  constructor(run: Run) {
    this.#once = askNamespaces(run)
  }

  readonly ask: AskNamespaces = async (pids) => {
    if (pids.length === 0) return new Map()
    try {
      const answer = await this.#session.ask(pids.join(' '))
      return parseAnswer(answer.split('\n').filter((line) => line !== ''))
    } catch {
      return this.#once(pids)
    }
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}

const parseAnswer = (lines: readonly string[]): Map<number, number> =>
  new Map(
    lines.map((line) => {
      const [pid = Number.NaN, namespace = Number.NaN] = line.split(' ').map(Number)
      return [pid, namespace]
    }),
  )

/**
 * RTM_GETNSID (90) with NETNSA_PID (2), answered by RTM_NEWNSID (88) with NETNSA_NSID (1), as in linux/rtnetlink.h and linux/net_namespace.h. It
 * needs no right over the process and enters nothing, and no command of iproute2 asks it by process.
 */
const PROGRAM = String.raw`
use strict; use warnings;
$| = 1;
socket my $kernel, 16, 3, 0 or die "netlink: $!\n";
while (my $line = <STDIN>) {
    if ($line eq "end\n") { print $line; next }
    for my $pid (split ' ', $line) {
        my $body = pack 'C x3 S S L', 0, 8, 2, $pid;
        send $kernel, pack('L S S L L', 16 + length $body, 90, 1, $pid, 0) . $body, 0 or die "netlink: $!\n";
        defined recv $kernel, my $answer, 4096, 0 or die "netlink: $!\n";
        my ($length, $type) = unpack 'L S', $answer;
        next if $type != 88;
        my $attributes = substr $answer, 20, $length - 20;
        while (length $attributes >= 8) {
            my ($size, $kind, $value) = unpack 'S S l', $attributes;
            print "$pid $value\n" if $kind == 1 && $value >= 0;
            $attributes = substr $attributes, ($size + 3) & ~3;
        }
    }
}
`
