import { loadConfig, type LoadedConfig } from '../config/load.ts'
import { hostConfigEnv, type ConfigEnv } from '../config/env.ts'
import type { Config } from '../config/model.ts'
import type { AcceptedConfig } from './formats.ts'

/** Reads a config from the texts that were accepted earlier, by today's rules. */
export function reloadAccepted(accepted: AcceptedConfig): Promise<LoadedConfig> {
  return loadConfig(accepted.file, remembered(accepted))
}

export interface LastAccepted extends Required<Pick<LoadedConfig, 'config' | 'sources'>> {
  /** The state directory in which it lies. */
  readonly directory: string
}

/** The config that was accepted last for this file, read by today's rules. Undefined: there is none, or today's rules refuse it. */
export async function lastAccepted(
  file: string,
  directories: readonly string[],
  load: (directory: string) => Promise<AcceptedConfig | undefined>,
): Promise<LastAccepted | undefined> {
  for (const directory of directories) {
    const accepted = await load(directory)
    // A config that was accepted for another file is another policy.
    if (accepted?.file !== file) continue
    const { config, sources } = await reloadAccepted(accepted)
    if (config) return { config, sources, directory }
  }
  return undefined
}

/** The config of an empty file: every network is guarded, and nothing is allowed. */
export async function closedConfig(file: string): Promise<Config> {
  const { config } = await reloadAccepted({ file, sources: [{ file, text: '{}' }] })
  if (!config) throw new Error('an empty config is refused')
  return config
}

/** Gives the remembered texts in place of the files. Who may write the files was checked when they were read. */
function remembered({ sources }: AcceptedConfig): ConfigEnv {
  const texts = new Map(sources.map(({ file, text }) => [file, text]))
  const textOf = (path: string): string => {
    const text = texts.get(path)
    if (text === undefined) throw Object.assign(new Error(`${path} was not part of it`), { code: 'ENOENT' })
    return text
  }
  return {
    read: (path) =>
      Promise.resolve().then(() => {
        const bytes = Buffer.from(textOf(path))
        return { facts: { kind: 'file' as const, size: bytes.length, mode: 0o600, uid: 0, gid: 0 }, bytes }
      }),
    pathFaults: () => Promise.resolve([]),
    list: (directory) =>
      Promise.resolve(
        [...texts.keys()]
          .filter(
            (file) => file.startsWith(`${directory}/`) && !file.slice(directory.length + 1).includes('/'),
          )
          .map((file) => file.slice(directory.length + 1)),
      ),
    nowMs: () => hostConfigEnv.nowMs(),
  }
}
