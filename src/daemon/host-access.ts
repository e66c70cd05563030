import { createDrivers, type HostDrivers } from '../host/drivers.ts'
import { HostView } from '../host/host-view.ts'
import type { Run } from '../system/exec.ts'
import { NamespaceSession } from '../system/net-namespaces.ts'
import type { UndoStack } from '../system/undo-stack.ts'
import { OwnedTable } from '../targets/backstop/owned-table.ts'
import { SetWriter } from '../targets/ipset/set-writer.ts'
import { watchRules } from '../targets/nftables/monitor.ts'
import { connectDocker } from '../workloads/docker/api.ts'
import { watchLinks } from '../workloads/link-watcher.ts'
import type { Core } from './core.ts'

/** The ways to the kernel, to the tools and to the engine of this host. */
export interface HostAccess {
  readonly run: Run
  readonly drivers: HostDrivers & { readonly ownedTable: OwnedTable }
  readonly setWriter: Pick<SetWriter, 'open' | 'write'>
  readonly view: HostView
  readonly connectDocker: typeof connectDocker
  readonly watchLinks: typeof watchLinks
  readonly watchRules: typeof watchRules
}

/** Opens nothing by itself: sessions with tools begin with their first use. */
export function openHost(run: Run, { telemetry, suspect }: Core, undo: UndoStack): HostAccess {
  const namespaces = new NamespaceSession(run)
  undo.add(() => namespaces.close())
  const ownedTable = new OwnedTable({
    onState: (why) => telemetry.setOwnedTableState(why),
    onDue: () => suspect('backstop'),
  })
  undo.add(() => ownedTable.close())
  const setWriter = new SetWriter()
  undo.add(() => setWriter.close())
  return {
    run,
    drivers: { ...createDrivers(run), ownedTable },
    setWriter,
    view: new HostView(run, namespaces.ask),
    connectDocker,
    watchLinks,
    watchRules,
  }
}
