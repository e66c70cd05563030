import { processesNamed, thisProcess } from '../system/processes.ts'
import type { DockerdProcess } from './dockerd-process.ts'
import { visibleDockerds } from './dockerd-process.ts'

/** The engines of this host, as far as /proc shows them. */
export const findDockerds = async (): Promise<DockerdProcess[]> =>
  visibleDockerds(await processesNamed('dockerd'), await thisProcess())
