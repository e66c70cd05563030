import { hostConfigEnv, type ConfigEnv } from '../config/env.ts'
import { MAX_CONFIG_BYTES } from '../config/load.ts'
import { readTrusted } from '../config/read-file.ts'

/** Where the state lies, by the file's own word, the service manager's and the default: told without parsing, for speed. */
export async function stateDirectories(
  configFile: string,
  fromService: string | undefined,
  env: ConfigEnv = hostConfigEnv,
): Promise<string[]> {
  // Whoever could name a directory here could put rights into it.
  const found = await readTrusted(env, configFile, MAX_CONFIG_BYTES)
  return [...namedState('text' in found ? found.text : ''), fromService ?? DEFAULT_STATE]
}

const DEFAULT_STATE = '/var/lib/embargod'

/** What stands behind `state:` in a text that may be no good config. */
export const namedState = (text: string): string[] =>
  [...text.matchAll(/^state:\s*["']?(\/[^\s"'#]+)/gm)].map(([, directory]) => directory ?? '')
