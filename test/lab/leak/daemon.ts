import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { programArgv } from '../embargod.ts'
import { parentOf, TOOLS } from './foreign.ts'
import type { Disturbance, DisturbedHost } from './disturbance.ts'

/** What happens to the daemon. */
export const DAEMON: readonly Disturbance[] = [
  {
    name: 'daemon-hup-50',
    words: 'daemon told to reload 50 times',
    ofOurs: true,
    run: async (host) => {
      for (let times = 0; times < 50; times += 1) {
        await host.daemon.hup()
        await host.wait(50)
      }
      await host.lab.waitFor('the daemon is well', async () => (await host.lab.cli(['status'])).code === 0)
    },
  },
  {
    name: 'daemon-kill',
    words: 'daemon killed (-9) and started',
    ofOurs: true,
    run: async (host) => {
      await host.daemon.kill()
      await host.wait(500)
      await host.startDaemon()
    },
  },
  {
    name: 'daemon-upgrade',
    words: 'daemon replaced by another version',
    ofOurs: true,
    run: async (host) => {
      await host.daemon.term()
      await asOtherVersion(host, () => host.startDaemon())
      await host.whole()
      await host.daemon.term()
      await host.startDaemon()
    },
  },
  {
    name: 'daemon-stopped',
    words: 'daemon stopped for longer than addresses are retained',
    ofOurs: true,
    run: async (host) => {
      await host.daemon.term()
      await host.wait(8000)
      await host.startDaemon()
    },
  },
  {
    name: 'daemon-paused',
    words: 'daemon paused (SIGSTOP) for a minute',
    ofOurs: true,
    run: (host) => paused(host, () => host.wait(60_000 * host.scale)),
  },
  {
    name: 'daemon-paused-jump-deleted',
    words: 'daemon paused, our jump deleted meanwhile',
    ofOurs: true,
    cuts: 'new connections are not judged until the daemon goes on',
    run: (host) =>
      paused(host, async () => {
        for (const tool of TOOLS)
          await host.lab.host([tool, '-D', await parentOf(host.lab, tool), '1'], { okExitCodes: [1] })
        await host.wait(3000)
      }),
  },
]

async function paused(host: DisturbedHost, work: () => Promise<void>): Promise<void> {
  host.daemon.signal('SIGSTOP')
  try {
    await work()
  } finally {
    host.daemon.signal('SIGCONT')
  }
}

/** The program under test, but for its version. From the sources, which have no file to copy, it is the same version once more. */
async function asOtherVersion<T>(host: DisturbedHost, work: () => Promise<T>): Promise<T> {
  const file = programArgv()[1]
  if (file?.endsWith('.cjs') !== true) return work()
  const other = join(host.lab.directory, 'other-version.cjs')
  const text = await readFile(file, 'utf8')
  const changed = text.replace(/(name: "embargod",\s+version: ")\d+\.\d+\.\d+/, '$1999.0.0')
  if (changed === text) throw new Error('the bundle does not say its version')
  await writeFile(other, changed)
  const named = process.env['EMBARGOD_LAB_PROGRAM']
  process.env['EMBARGOD_LAB_PROGRAM'] = other
  try {
    return await work()
  } finally {
    if (named === undefined) delete process.env['EMBARGOD_LAB_PROGRAM']
    else process.env['EMBARGOD_LAB_PROGRAM'] = named
  }
}
