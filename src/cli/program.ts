import { Command, CommanderError } from 'commander'
import { ControlError } from '../control/error.ts'
import { sanitise } from '../observe/sanitise.ts'
import { defineAllow } from './allow.ts'
import type { AllowArgs } from './allow.ts'
import { defineCheck } from './check.ts'
import { defineCleanup } from './cleanup.ts'
import type { CleanupArgs } from './cleanup.ts'
import { EXIT } from './command.ts'
import type { Action, Bind, ConfigArgs, ConfirmArgs, Io, NoArgs } from './command.ts'
import { defineConfirm } from './confirm.ts'
import { defineExplain } from './explain.ts'
import type { ExplainArgs } from './explain.ts'
import { definePlan } from './plan.ts'
import type { PlanArgs } from './plan.ts'
import { defineReload } from './reload.ts'
import { defineRules } from './rules.ts'
import type { RulesArgs } from './rules.ts'
import { defineRun } from './run.ts'
import type { RunArgs } from './run.ts'
import { defineSchema } from './schema.ts'
import { defineSetupDns } from './setup-dns.ts'
import type { SetupDnsArgs } from './setup-dns.ts'
import { defineStatus } from './status.ts'
import type { StatusArgs } from './status.ts'
import { defineVerify } from './verify.ts'
import { errorChain } from '../system/errors.ts'

/** What each command does. Composed in one place, so that no command knows the host. */
export interface Actions {
  readonly run: Action<RunArgs>
  readonly check: Action<ConfigArgs>
  readonly plan: Action<PlanArgs>
  readonly status: Action<StatusArgs>
  readonly rules: Action<RulesArgs>
  readonly explain: Action<ExplainArgs>
  readonly allow: Action<AllowArgs>
  readonly verify: Action<ConfigArgs>
  readonly reload: Action<ConfirmArgs>
  readonly confirm: Action<NoArgs>
  readonly cleanup: Action<CleanupArgs>
  readonly setupDns: Action<SetupDnsArgs>
  readonly schema: Action<NoArgs>
}

/** The command line itself: `bind` runs an action and keeps its exit code. */
export function buildProgram(actions: Actions, version: string, bind: Bind): Command {
  const program = new Command('embargod')
    .description('Egress firewall for Docker hosts: containers reach the domains you name and nothing else.')
    .version(version, '-V, --version')
    .showHelpAfterError('(embargod --help lists all commands)')
  defineRun(program, actions.run, bind)
  defineCheck(program, actions.check, bind)
  definePlan(program, actions.plan, bind)
  defineStatus(program, actions.status, bind)
  defineRules(program, actions.rules, bind)
  defineExplain(program, actions.explain, bind)
  defineAllow(program, actions.allow, bind)
  defineVerify(program, actions.verify, bind)
  defineReload(program, actions.reload, bind)
  defineConfirm(program, actions.confirm, bind)
  defineCleanup(program, actions.cleanup, bind)
  defineSetupDns(program, actions.setupDns, bind)
  defineSchema(program, actions.schema, bind)
  return program
}

/** Runs one command line (without the program's name) and resolves to its exit code; never rejects. */
export async function runCommandLine(
  argv: readonly string[],
  actions: Actions,
  version: string,
  io: Io,
): Promise<number> {
  let exitCode: number = EXIT.ok
  const program = buildProgram(actions, version, async (action, args) => {
    exitCode = await action(args, io)
  })
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      // It repeats what was typed, or pasted from somewhere.
      outputError: (text, write) => write(text.split('\n').map(sanitise).join('\n')),
      getOutHasColors: () => io.color,
      getErrHasColors: () => io.color,
      ...(io.columns === undefined ? {} : { getOutHelpWidth: () => io.columns ?? 80 }),
    })
  }
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.misuse
    io.stderr.write(`embargod: ${sanitise(errorChain(error))}\n`)
    return exitCodeOf(error)
  }
}

const exitCodeOf = (error: unknown): number => (error instanceof ControlError ? error.exitCode : EXIT.failed)
