import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import type { Argv } from '../lab/box.ts'
import type { Lab } from '../lab/lab.ts'

/** A program in the lab's host that answers each line written to it: asking costs no new process. */
export class Questions {
  #pending = ''
  #waiting: ((answer: string) => void) | undefined

  private constructor(
    private readonly child: ChildProcessByStdio<Writable, Readable, null>,
    private readonly end: string,
  ) {
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => {
      this.#pending += text
      if (!this.#pending.endsWith(this.end)) return
      const answer = this.#pending
      this.#pending = ''
      this.#waiting?.(answer)
      this.#waiting = undefined
    })
  }

  static open(lab: Lab, argv: Argv, end: string): Questions {
    const [file, ...args] = lab.hostBox.enter(argv)
    return new Questions(spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'] }), end)
  }

  ask(line: string): Promise<string> {
    return new Promise((resolve) => {
      this.#waiting = resolve
      this.child.stdin.write(`${line}\n`)
    })
  }

  close(): void {
    this.child.kill('SIGKILL')
  }
}

/** Says whether an element stands in a set, in less than a tenth of a millisecond. */
export async function setQuestions(lab: Lab): Promise<(set: string, element: string) => Promise<boolean>> {
  const session = Questions.open(lab, ['sh', '-c', 'exec stdbuf -o0 -e0 ipset - 2>&1'], 'ipset> ')
  await new Promise((resolve) => setTimeout(resolve, 300))
  return async (set, element) => {
    const answer = await session.ask(`test ${set} ${element}`)
    if (/is in set/.test(answer)) return true
    if (/is NOT in set/.test(answer)) return false
    throw new Error(`ipset says: ${answer}`)
  }
}

/** The kernel answers only to the first read of an open file, so it must be one read. */
const LAST_PID = `$| = 1; while (<STDIN>) {
  open my $file, '<', '/proc/sys/kernel/ns_last_pid' or die; sysread $file, my $pid, 32; print $pid;
}`

/** The number of processes and threads that were ever started in the host, by the numbers that its process namespace gives out. */
export function processCounter(lab: Lab): () => Promise<number> {
  const session = Questions.open(lab, ['perl', '-e', LAST_PID], '\n')
  return async () => Number((await session.ask('')).trim())
}
