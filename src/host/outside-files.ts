import { readdir, stat } from 'node:fs/promises'
import { inTime, isOfKernel, isTimeout } from '../system/file-deadline.ts'
import { readIfThere } from '../system/read-file.ts'

/** Reads files that other programs write, with a limit for each kind. Undefined: there is no such file. */

const KIB = 1024
/** The kernel's own list of the processes of a control group can be the longest of them. */
const MAX_KERNEL_BYTES = 1024 * KIB
const MAX_RESOLV_CONF_BYTES = 64 * KIB
const MAX_DAEMON_JSON_BYTES = 1024 * KIB

/** A file in /proc or /sys. */
export const readKernelFile = (path: string): Promise<string | undefined> =>
  readIfThere(path, { maxBytes: MAX_KERNEL_BYTES })

/** The resolv.conf of the host, which a service without root's rights may write. */
export const readHostResolvConf = (path: string): Promise<string | undefined> =>
  readIfThere(path, { maxBytes: MAX_RESOLV_CONF_BYTES })

/** The engine's config file. Containers may ask the name servers in it, so root alone may have written it. */
export const readEngineConfig = (path: string): Promise<string | undefined> =>
  readIfThere(path, { maxBytes: MAX_DAEMON_JSON_BYTES, byRootAlone: true })

/** A file that the engine wrote for a container, and that the container can write to. */
export const readContainerFile = (path: string): Promise<string | undefined> =>
  readIfThere(path, { maxBytes: MAX_RESOLV_CONF_BYTES, follow: false })

/** Undefined: there is no such file. Rejects when the file system does not answer in time, since the file may exist then. */
export const inodeOf = (path: string): Promise<number | undefined> =>
  inTime(`looking at ${path}`, () => stat(path), undefined, isOfKernel(path)).then(
    ({ ino }) => ino,
    (error: unknown) => absentUnlessLate(error, undefined),
  )

/** None where there is no such directory. Rejects as {@link inodeOf} does. */
export const directoriesIn = (path: string): Promise<string[]> =>
  inTime(`listing ${path}`, () => readdir(path, { withFileTypes: true }), undefined, isOfKernel(path)).then(
    (entries) => entries.filter((entry) => entry.isDirectory()).map(({ name }) => name),
    (error: unknown) => absentUnlessLate(error, []),
  )

function absentUnlessLate<T>(error: unknown, absent: T): T {
  if (isTimeout(error)) throw error
  return absent
}
