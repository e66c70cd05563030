import type { Command } from 'commander'
import { SilentDaemonError } from '../control/error.ts'
import type { StatusReport, WithoutDaemon } from '../control/status.ts'
import { jsonText } from '../observe/sanitise.ts'
import { configOption, EXIT, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs } from './command.ts'
import { renderStatus } from './status-view.ts'

export interface StatusArgs extends ConfigArgs {
  readonly json: boolean
}

export interface StatusSources {
  /** The daemon's own report; undefined when none runs; rejects with SilentDaemonError when it does not answer. */
  readonly fromDaemon: () => Promise<StatusReport | undefined>
  /** A report from the kernel and the state directory, for when no daemon answers. */
  readonly fromHost: (config: string, why: WithoutDaemon) => Promise<StatusReport>
  readonly now: () => number
}

export const statusAction =
  (sources: StatusSources): Action<StatusArgs> =>
  async ({ json, config }, io) => {
    const answer = await sources.fromDaemon().catch((error: unknown): WithoutDaemon => {
      if (error instanceof SilentDaemonError) return 'not-answering'
      throw error
    })
    const report =
      typeof answer === 'object'
        ? { ...sinceTold(answer), ...answer }
        : await sources.fromHost(config, answer ?? 'not-running')
    io.stdout.write(json ? jsonText(report) : renderStatus(report, { nowMs: sources.now(), color: io.color }))
    if (report.daemon !== 'running') return EXIT.notRunning
    return report.health === 'healthy' ? EXIT.ok : EXIT.degraded
  }

/** Fields that a daemon of an older version does not send; one may still run while the package is upgraded. */
const sinceTold = ({ health, problems }: StatusReport): Pick<StatusReport, 'headline' | 'notes'> => ({
  headline: health === 'healthy' ? health : `${health}: ${problems.join('; ')}`,
  notes: [],
})

export function defineStatus(program: Command, action: Action<StatusArgs>, bind: Bind): void {
  const command = configOption(program.command('status'))
    .description(
      'Show networks, policies, names with their addresses, counters, drift, both guards, and what is not protected.',
    )
    .option('--json', 'as JSON')
    .action((options: ConfigArgs & { readonly json?: true }) =>
      bind(action, { json: options.json === true, config: options.config }),
    )
  explainUse(command, ['embargod status', "embargod status --json | jq '.unprotected[].reason'"], {
    0: 'healthy',
    4: 'degraded',
    5: 'the daemon is not running or does not answer; the report comes from the kernel and the state directory',
  })
}
