import { HostNetworkDriver } from '../targets/host-network/driver.ts'
import type { Run } from '../system/exec.ts'
import { readProcess } from '../system/processes.ts'
import { groupPlaceOf } from '../workloads/host-group.ts'
import type { Container } from '../workloads/model.ts'

/** The class of rights that the kernel gives to a container on the host's network, or why it gives none. */
export async function hostNetworkClass(
  { id, pid }: Container,
  run: Run,
): Promise<
  { readonly class: number; readonly why?: undefined } | { readonly class?: undefined; readonly why: string }
> {
  if (pid === undefined) return { why: 'it does not run' }
  const saved = await new HostNetworkDriver(run).read()
  if (!saved) return { why: 'there is no table that marks what it sends (guard.hostNetwork)' }
  const text = await readProcess(pid, 'cgroup').catch(() => '')
  const place = groupPlaceOf(text, id)
  if ('why' in place) return place
  const found = saved.classes.get(place.path)
  return found === undefined ? { why: 'its control group is not marked' } : { class: found }
}
