import { ToolError, type Run, type RunOptions, type RunResult } from '../../src/system/exec.ts'
import { FakeRules } from './kernel/fake-rules.ts'
import { FakeSets, Refusal } from './kernel/fake-sets.ts'

type Argv = readonly [string, ...string[]]
type Family = 4 | 6

/** How a write ends that the test wants to go wrong. `killed`: the writing process dies and writes no more until the kernel is revived. */
export type Fate = 'fails' | 'hangs' | 'killed'

/**
 * A kernel with nothing but netfilter, behind the programs that we spawn. It refuses what the kernel refuses, keeps what it took when a
 * batch breaks off, and has its own clock.
 */
export class FakeKernel {
  nowMs = Date.UTC(2026, 5, 15, 12)
  readonly sets = new FakeSets(
    () => this.nowMs,
    (set) => this.rules[4].references(set) + this.rules[6].references(set),
  )
  readonly rules: Readonly<Record<Family, FakeRules>> = {
    4: new FakeRules(4, (name) => this.sets.all.get(name)),
    6: new FakeRules(6, (name) => this.sets.all.get(name)),
  }
  /** Lines of `conntrack -L`, by family. */
  readonly connections: Record<Family, string[]> = { 4: [], 6: [] }
  /** The table of the backstop as listed, undefined: there is none. */
  backstop: string | undefined
  /** Names of links by their numbers: listings show those. */
  readonly links = new Map<number, string>()
  /** Every program that ran, reads included. */
  readonly commands: string[] = []
  /** Single changes of state so far: a set line, a table of rules, the backstop. */
  writes = 0
  /** Called before a program runs: what else happens in that moment. */
  meanwhile: ((command: string) => Promise<void>) | undefined
  #fate: { readonly atWrite: number; readonly how: Fate } | undefined
  #failing: { readonly matches: RegExp; readonly stderr: string } | undefined
  #dead = false

  /** The write of that number, counted from now, does not happen. */
  breakAtWrite(number: number, how: Fate): void {
    this.#fate = { atWrite: this.writes + number, how }
  }

  /** The next program whose command line matches fails. */
  failNext(matches: RegExp, stderr = 'Operation not permitted'): void {
    this.#failing = { matches, stderr }
  }

  /** After a kill: another process takes over. */
  revive(): void {
    this.#dead = false
    this.#fate = undefined
  }

  readonly run: Run = async (argv, options = {}) => {
    const command = argv.join(' ')
    if (this.#dead) throw toolError(argv, options, 'failed', undefined, 'killed')
    this.commands.push(command)
    await this.meanwhile?.(command)
    if (this.#failing?.matches.test(command)) {
      const { stderr } = this.#failing
      this.#failing = undefined
      throw toolError(argv, options, 'failed', 1, stderr)
    }
    try {
      return this.#execute(argv, options.input ?? '', options)
    } catch (error) {
      if (error instanceof Refusal) throw toolError(argv, options, 'failed', 1, error.message)
      throw error
    }
  }

  #execute(argv: Argv, input: string, options: RunOptions): RunResult {
    const [program, ...args] = argv
    const iptables = /^(ip6?tables)-nft-(save|restore)$/.exec(program)
    if (iptables) {
      const rules = this.rules[iptables[1] === 'iptables' ? 4 : 6]
      if (iptables[2] === 'save') return answer(rules.save())
      this.#write(argv, options)
      rules.restore(input)
      return answer('')
    }
    switch (`${program} ${args.join(' ')}`) {
      case 'iptables -V':
        return answer('iptables v1.8.9 (nf_tables)\n')
      case 'ipset -':
        return { ...this.sets.session(input), exitCode: 0 }
      case 'ipset -exist restore':
        for (const [index, line] of input.split('\n').entries()) {
          if (line === '') continue
          this.#write(argv, options)
          try {
            this.sets.line(line)
          } catch (error) {
            if (error instanceof Refusal)
              throw new Refusal(`ipset v7.17: Error in line ${index + 1}: ${error.message} (${line})`)
            throw error
          }
        }
        return answer('')
      case 'nft list table inet embargod-guard':
        if (this.backstop === undefined) throw new Refusal('Error: No such file or directory')
        return answer(this.backstop)
      case 'nft -f -':
        this.#write(argv, options)
        this.#loadBackstop(input)
        return answer('')
      default:
        if (program === 'conntrack') return this.#conntrack(args, options)
        throw toolError(argv, options, 'missing', undefined, '')
    }
  }

  #write(argv: Argv, options: RunOptions): void {
    this.writes++
    if (this.#fate?.atWrite !== this.writes) return
    const { how } = this.#fate
    this.#fate = undefined
    this.#dead = how === 'killed'
    throw toolError(argv, options, how === 'hangs' ? 'timeout' : 'failed', undefined, 'broken off')
  }

  #loadBackstop(text: string): void {
    const [first, second, ...table] = text.split('\n')
    const keepsChains = second === 'flush table inet embargod-guard'
    if (
      first !== 'table inet embargod-guard {}' ||
      !(keepsChains || second === 'delete table inet embargod-guard')
    )
      throw new Refusal('Error: syntax error')
    const stay = keepsChains ? this.#chainsLeft(text) : ''
    const body = table.join('\n').trim().replace(/\}$/, `${stay}}`)
    this.backstop =
      body === ''
        ? undefined
        : `${body
            .replaceAll('priority 10;', 'priority filter + 10;')
            .replace('priority -310;', 'priority raw - 10;')
            .replaceAll(/ {2}/g, '\t')
            .replaceAll(/\biif (!= )?\{ ([\d, ]+) \}/g, (_, not = '', numbers: string) => {
              const shown = numbers.split(', ').map((one) => this.#shown(Number(one)))
              return `iif ${not}{ ${shown.join(', ')} }`
            })}\n`
  }

  /** Chains that stay though they are not written again. One that is off its hook cannot be put on it. */
  #chainsLeft(text: string): string {
    const chains = [...(this.backstop ?? '').matchAll(/^\tchain (\w+) \{\n(.*)\n/gm)]
    const left = chains.filter(([, name = '', hook = '']) => {
      if (!hook.includes('type filter hook')) throw new Refusal('Error: Could not process rule: File exists')
      return !text.includes(`chain ${name} {`)
    })
    return left.map(([, name, hook]) => `\tchain ${name} {\n${hook}\n\t}\n`).join('')
  }

  #shown(index: number): string {
    const name = this.links.get(index)
    return name === undefined ? `${index}` : `"${name}"`
  }

  #conntrack(args: readonly string[], options: RunOptions): RunResult {
    const family: Family = args.includes('ipv6') ? 6 : 4
    if (args[0] === '-L') {
      const lines = this.connections[family]
      return {
        stdout: lines.map((line) => `${line}\n`).join(''),
        stderr: `conntrack v1.4.7 (conntrack-tools): ${lines.length} flow entries have been shown.\n`,
        exitCode: 0,
      }
    }
    const [value = 0, mask = 0] = (args.at(-1) ?? '').split('/').map(Number)
    const stay = this.connections[family].filter(
      (line) => (Number(/ mark=(\d+)/.exec(line)?.[1] ?? 0) & mask) >>> 0 !== value,
    )
    const deleted = this.connections[family].length - stay.length
    this.connections[family] = stay
    const stderr = `conntrack v1.4.7 (conntrack-tools): ${deleted} flow entries have been deleted.\n`
    if (deleted === 0 && !options.okExitCodes?.includes(1)) throw new Refusal(stderr)
    return { stdout: '', stderr, exitCode: deleted === 0 ? 1 : 0 }
  }
}

const answer = (stdout: string): RunResult => ({ stdout, stderr: '', exitCode: 0 })

const toolError = (
  argv: Argv,
  options: RunOptions,
  kind: ToolError['kind'],
  exitCode: number | undefined,
  stderr: string,
): ToolError =>
  new ToolError(
    `${argv.join(' ')}: ${stderr}`,
    kind,
    argv,
    exitCode,
    stderr,
    (options.input ?? '').slice(-2000),
  )
