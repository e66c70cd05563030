import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { inTime } from '../system/file-deadline.ts'
import { writeAtomically } from '../system/atomic-file.ts'

const FILE = 'dns-gateway'

/** Writes or removes the file by which the service manager decides whether to open the sockets of the DNS gateway. */
export async function markGateway(stateDirectory: string, isWanted: boolean): Promise<void> {
  const path = join(stateDirectory, FILE)
  if (isWanted)
    await writeAtomically(path, 'The sockets of the DNS gateway are held by embargod-dns.socket.\n')
  else await inTime(`removing ${path}`, () => rm(path, { force: true }))
}
