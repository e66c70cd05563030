import type { HostGroup, HostGroups } from '../dataplane/model.ts'
import type { Assignment } from '../policy/classes.ts'
import { groupPlaceOf } from '../workloads/host-group.ts'
import { containersOnHostNetwork, HOST_NETWORK } from '../workloads/host-network.ts'
import type { Container, Inventory } from '../workloads/model.ts'

/** What is asked of the host. Undefined: there is no such file or directory. */
export interface GroupFiles {
  readonly readText: (path: string) => Promise<string | undefined>
  readonly inodeOf: (path: string) => Promise<number | undefined>
}

const ROOT = '/sys/fs/cgroup'
/** With the cgroupfs driver the engine makes all groups in here, and nobody else makes any. */
const COMMON_PARENT = 'docker'

/**
 * Looks up where the processes of each are. Who is below the engine's own group and not known yet is held for unknown. The container in which this
 * process itself runs is left alone: its questions are not those of a container.
 */
export async function findHostGroups(
  inventory: Inventory | undefined,
  rights: Assignment | undefined,
  files: GroupFiles,
): Promise<Omit<HostGroups, 'addresses'>> {
  const none = { held: new Set<string>(), unheld: new Map<string, string>(), problem: undefined }
  if ((await files.inodeOf(`${ROOT}/cgroup.controllers`)) === undefined)
    return {
      ...none,
      groups: [],
      problem: 'the host has no pure cgroup v2: boot it with systemd.unified_cgroup_hierarchy=1',
    }
  if (!inventory) return { ...none, groups: undefined }
  const onHostNetwork = containersOnHostNetwork(inventory.containers)
  const running = inventory.containers.filter(({ id, running }) => running && onHostNetwork.has(id))
  const ownGroups = (await files.readText('/proc/self/cgroup')) ?? ''
  const found = await Promise.all(
    running.map(async (container) => ({ container, place: await placeOf(container, files) })),
  )
  const held = new Set<string>()
  const unheld = new Map<string, string>()
  const groups: HostGroup[] = []
  for (const { container, place } of found) {
    const { id } = container
    if ('why' in place) {
      unheld.set(id, place.why)
      continue
    }
    const isOurs = ownGroups.includes(id)
    if (isOurs) unheld.set(id, 'it is embargod itself')
    else held.add(id)
    groups.push({ ...place, class: isOurs ? undefined : classOf(id, rights) })
  }
  const parent = await files.inodeOf(`${ROOT}/${COMMON_PARENT}`)
  if (parent !== undefined) groups.push({ path: COMMON_PARENT, inode: parent, class: 0 })
  return { groups, held, unheld, problem: undefined }
}

async function placeOf(
  { id, pid }: Container,
  { readText, inodeOf }: GroupFiles,
): Promise<{ readonly path: string; readonly inode: number } | { readonly why: string }> {
  const ended = { why: 'its process has ended' }
  const text = pid === undefined ? undefined : await readText(`/proc/${pid}/cgroup`)
  if (text === undefined) return ended
  const place = groupPlaceOf(text, id)
  if ('why' in place) return place
  const inode = await inodeOf(`${ROOT}/${place.path}`)
  return inode === undefined ? ended : { path: place.path, inode }
}

/** Where all have the same rights there are no numbers: those of unknown sources are everybody's. */
const classOf = (id: string, rights: Assignment | undefined): number =>
  rights?.members.find(({ container, network }) => container.id === id && network === HOST_NETWORK)?.class ??
  0
