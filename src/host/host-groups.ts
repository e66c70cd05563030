import type { HostGroup, HostGroups } from '../dataplane/model.ts'
import type { Assignment } from '../policy/classes.ts'
import { groupPlaceOf } from '../workloads/host-group.ts'
import { containersOnHostNetwork, HOST_NETWORK } from '../workloads/host-network.ts'
import type { Container, Inventory } from '../workloads/model.ts'
import { findEngineGroups, type ListDirectories } from './engine-groups.ts'

/** Reads of the host's files. Undefined: there is no such file or directory. */
export interface GroupFiles {
  readonly readText: (path: string) => Promise<string | undefined>
  readonly inodeOf: (path: string) => Promise<number | undefined>
  readonly list: ListDirectories
}

const ROOT = '/sys/fs/cgroup'
/** With the cgroupfs driver the engine makes all groups in here, and no other program does. */
const COMMON_PARENT = 'docker'
/** Where an inspection was not answered there is only the engine's list, which does not tell processes. */
const NOT_KNOWN = 'the engine has not told its process'

/**
 * Looks up the control groups of containers on the host's network. A group that is named after an unknown container counts as an unknown source, and so
 * does everything else below the engine's own group. A container also gets the rules of the group that is named after it, when its first process
 * is elsewhere or not known. The container in which embargod itself runs is left alone: its DNS questions are embargod's own.
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
  const groups = new Map<string, HostGroup>()
  const classFor = (id: string): number | undefined =>
    // embargod's own questions are not those of a container.
    ownGroups.includes(id) ? undefined : classOf(id, rights)
  for (const { container, place } of found) {
    const { id } = container
    if ('why' in place) unheld.set(id, place.why)
    else groups.set(place.path, { ...place, class: classFor(id) })
    if (ownGroups.includes(id)) unheld.set(id, 'it is embargod itself')
    else if (!('why' in place)) held.add(id)
  }
  const known = new Set(inventory.containers.map(({ id }) => id))
  for (const [id, paths] of await findEngineGroups(ROOT, files.list)) {
    // Other containers have network namespaces of their own, in which these rules see no socket.
    if (known.has(id) && !onHostNetwork.has(id)) continue
    for (const path of paths.filter((one) => !groups.has(one))) {
      const inode = await files.inodeOf(`${ROOT}/${path}`)
      if (inode !== undefined) groups.set(path, { path, inode, class: classFor(id) })
    }
    if (unheld.get(id) === NOT_KNOWN && paths.length > 0) {
      unheld.delete(id)
      held.add(id)
    }
  }
  const parent = await files.inodeOf(`${ROOT}/${COMMON_PARENT}`)
  if (parent !== undefined) groups.set(COMMON_PARENT, { path: COMMON_PARENT, inode: parent, class: 0 })
  return { groups: [...groups.values()], held, unheld, problem: undefined }
}

async function placeOf(
  { id, pid }: Container,
  { readText, inodeOf }: GroupFiles,
): Promise<{ readonly path: string; readonly inode: number } | { readonly why: string }> {
  if (pid === undefined) return { why: NOT_KNOWN }
  const ended = { why: 'its process has ended' }
  const text = await readText(`/proc/${pid}/cgroup`)
  if (text === undefined) return ended
  const place = groupPlaceOf(text, id)
  if ('why' in place) return place
  const inode = await inodeOf(`${ROOT}/${place.path}`)
  return inode === undefined ? ended : { path: place.path, inode }
}

/** Where all containers have the same rights there are no classes: all have the number of unknown sources. */
const classOf = (id: string, rights: Assignment | undefined): number =>
  rights?.members.find(({ container, network }) => container.id === id && network === HOST_NETWORK)?.class ??
  0
