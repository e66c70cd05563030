import { argvOf, rootsProcessesNamed, thisProcess } from '../../system/processes.ts'
import { readIfThere, RefusedFileError } from '../../system/read-file.ts'
import { listenerOf } from '../../system/socket-listener.ts'
import { enginesBehind, parseDockerdArgv, visibleDockerds, type DockerdProcess } from './dockerd-process.ts'

/** The engines of this host, as far as /proc shows them. Rejects when the command line of one is too long to be read. */
export const findDockerds = async (): Promise<DockerdProcess[]> => {
  const processes = visibleDockerds(await rootsProcessesNamed('dockerd'), await thisProcess())
  const found = await Promise.all(processes.map(({ pid }) => read(pid)))
  return found.filter((one) => one !== undefined)
}

/** The engine behind a socket, or all processes that may be it. */
export const findEngines = async (socket: string): Promise<DockerdProcess[]> =>
  enginesBehind(await findDockerds(), socket, { listener: listenerOf(socket), inPidFile: await pidInFile() })

/** Undefined: the process has ended. */
const read = async (pid: number): Promise<DockerdProcess | undefined> => {
  try {
    return parseDockerdArgv(await argvOf(pid), pid)
  } catch (error) {
    if (error instanceof RefusedFileError) throw error
    return undefined
  }
}

/** The engine's pid file by default. It only chooses among processes that are root's anyway. */
const PID_FILE = '/run/docker.pid'
const MAX_PID_BYTES = 64

const pidInFile = async (): Promise<number | undefined> => {
  const text = await readIfThere(PID_FILE, { maxBytes: MAX_PID_BYTES, byRootAlone: true }).catch(
    () => undefined,
  )
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined
}
