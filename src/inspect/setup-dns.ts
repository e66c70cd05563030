import { mkdir, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { EXIT } from '../cli/command.ts'
import type { Action, Io } from '../cli/command.ts'
import type { SetupDnsArgs } from '../cli/setup-dns.ts'
import { sanitise } from '../observe/sanitise.ts'
import { writeAtomically } from '../system/atomic-file.ts'
import { ToolError, type Run } from '../system/exec.ts'
import { interfacesOf, readLinks } from '../system/host.ts'
import { readOnce, tooLarge } from '../system/read-file.ts'
import { withDns } from '../workloads/engine-config/daemon-json.ts'
import { defaultBridgeAddress } from '../workloads/engine-config/default-bridge.ts'
import {
  chooseConfigFile,
  configFileOf,
  type DockerdProcess,
} from '../workloads/engine-config/dockerd-process.ts'
import { errorMessage } from '../system/errors.ts'

export interface SetupDnsSources {
  readonly run: Run
  readonly isRoot: () => boolean
  /** The engines of this host, as far as they can be seen. */
  readonly dockerds: () => Promise<readonly DockerdProcess[]>
}

const MAX_BYTES = 1024 * 1024
const VALIDATE_MS = 30_000
/** The engine ends its containers first, which takes ten seconds for each that ignores the signal. */
const RESTART_MS = 300_000

/** Has the engine ask for containers from their own networks, where its questions are led to the gateway. */
export const setupDnsAction =
  ({ run, isRoot, dockerds }: SetupDnsSources): Action<SetupDnsArgs> =>
  async ({ address, file, restart, dryRun }, io) => {
    if (!isRoot()) throw new Error('not root: run it as root (sudo embargod …)')
    const engines = await dockerds()
    const path = file ?? chooseConfigFile(engines)
    refuseFlag(engines, path)
    const servers = [address ?? (await addressOfDefaultBridge(run))]
    const old = await readOld(path)
    const { text, before } = changed(path, old?.text, servers)
    if (dryRun) {
      io.stdout.write(text)
      return EXIT.ok
    }
    const say = (line: string): void => void io.stdout.write(`${sanitise(line)}\n`)
    const line = `"dns": ${listed(servers)}`
    if (text === old?.text) {
      say(`${path}: ${line} stands there already`)
      return EXIT.ok
    }
    const backup = await replace(run, path, old, text)
    say(`${path}: ${line} written${backup === undefined ? '' : `; as it was first: ${backup}`}`)
    if (before.length > 0) {
      say(`It takes the place of ${listed(before)}.`)
      say(`To have the gateway ask those, in embargod's configuration: dns: { upstreams: ${listed(before)} }`)
    }
    say(
      "From its next start on the engine needs the gateway, in embargod's configuration: dns: { gateway: true }",
    )
    if (restart) return restartDocker(run, io)
    say('Next: systemctl restart docker')
    say('Containers that run on meanwhile (live-restore) have to be restarted too.')
    return EXIT.ok
  }

const listed = (servers: readonly string[]): string => JSON.stringify(servers).replaceAll(',', ', ')

/** dockerd does not start when its name servers stand both on its command line and in its config file. */
function refuseFlag(engines: readonly DockerdProcess[], path: string): void {
  const flags = engines.filter((one) => configFileOf(one) === path).flatMap(({ dns }) => dns)
  if (flags.length === 0) return
  throw new Error(
    `dockerd runs with --dns ${flags.join(' --dns ')}, and does not start with "dns" in ${path} as well: take the flag away first`,
  )
}

async function addressOfDefaultBridge(run: Run): Promise<string> {
  const address = defaultBridgeAddress(interfacesOf(await readLinks(run)))
  if (address === undefined)
    throw new Error('docker0 has no IPv4 address here: name one that containers can route to by --address')
  return address
}

interface OldFile {
  /** Its path with links followed. */
  readonly place: string
  readonly text: string
  readonly mode: number
  readonly owner: { readonly uid: number; readonly gid: number }
}

/** Undefined when there is none. */
async function readOld(path: string): Promise<OldFile | undefined> {
  try {
    const place = await realpath(path)
    const { facts, bytes } = await readOnce(place, { maxBytes: MAX_BYTES, follow: false })
    if (facts.kind !== 'file') throw new Error('not a file')
    if (!bytes) throw new Error(tooLarge(facts.size, MAX_BYTES))
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return { place, text, mode: facts.mode, owner: { uid: facts.uid, gid: facts.gid } }
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new Error(`reading ${path}`, { cause })
  }
}

function changed(
  path: string,
  text: string | undefined,
  servers: readonly string[],
): ReturnType<typeof withDns> {
  try {
    return withDns(text, servers)
  } catch (cause) {
    throw new Error(`${path} is left as it is`, { cause })
  }
}

/** Resolves to the path of the backup from before the first change; undefined: there was no file. When it rejects, nothing is changed. */
async function replace(
  run: Run,
  path: string,
  old: OldFile | undefined,
  text: string,
): Promise<string | undefined> {
  const place = old?.place ?? path
  const backup = `${place}.embargod-backup`
  try {
    if (!old) await mkdir(dirname(place), { recursive: true })
    await writeAtomically(place, text, {
      mode: old?.mode ?? 0o644,
      ...(old ? { owner: old.owner } : {}),
      check: async (temporary) => {
        await validate(run, temporary)
        if (old && !(await exists(backup))) await writeAtomically(backup, old.text, old)
      },
    })
  } catch (cause) {
    throw new Error(`${path} is left as it is`, { cause })
  }
  return (await exists(backup)) ? backup : undefined
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Has the installed dockerd check the file. Where none is installed, or one before 23, which cannot, the file is not checked. */
async function validate(run: Run, file: string): Promise<void> {
  try {
    await run(['dockerd', '--validate', '--config-file', file], { timeoutMs: VALIDATE_MS })
  } catch (error) {
    const cannot =
      error instanceof ToolError &&
      (error.kind === 'missing' || error.stderr.includes('unknown flag: --validate'))
    if (!cannot) throw error
  }
}

async function restartDocker(run: Run, io: Io): Promise<number> {
  try {
    await run(['systemctl', 'restart', 'docker'], { timeoutMs: RESTART_MS })
  } catch (error) {
    const why = errorMessage(error)
    io.stderr.write(`embargod: the file is written, but Docker was not restarted: ${sanitise(why)}\n`)
    return EXIT.failed
  }
  io.stdout.write('Docker is restarted\n')
  return EXIT.ok
}
