import { hostConfigEnv, type ConfigEnv } from '../config/env.ts'
import { MAX_CONFIG_BYTES } from '../config/load.ts'
import { readTrusted } from '../config/read-file.ts'

/** Where the state may lie: as the config file says, then as the service manager says or by default. The file is not parsed, for speed. */
export async function stateDirectories(
  configFile: string,
  fromService: string | undefined,
  env: ConfigEnv = hostConfigEnv,
): Promise<string[]> {
  // A directory that is named here can give rights, so the file must be root's.
  const found = await readTrusted(env, configFile, MAX_CONFIG_BYTES)
  return [...namedState('text' in found ? found.text : ''), fromService ?? DEFAULT_STATE]
}

export const DEFAULT_STATE = '/var/lib/embargod'

/** The values of `state:` in a text that may not be a valid config. */
export const namedState = (text: string): string[] =>
  [...text.matchAll(/^state:\s*["']?(\/[^\s"'#]+)/gm)].map(([, directory]) => directory ?? '')
