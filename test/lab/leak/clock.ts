import { existsSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Disturbance } from './disturbance.ts'

/** Debian's libfaketime, of whatever architecture. */
function library(): string {
  const files = readdirSync('/usr/lib').map((name) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`)
  const found = files.find((file) => existsSync(file))
  if (found === undefined) throw new Error('it needs libfaketime')
  return found
}

/** Somebody sets the clock. Namespaces share it, so only the daemon, and what it starts, is told another time, by libfaketime. */
export const CLOCK: readonly Disturbance[] = [
  {
    name: 'clock',
    words: "daemon's clock set forward by a day, then back by two",
    ofOurs: true,
    run: async (host) => {
      const file = join(host.lab.directory, 'clock')
      const set = (offset: string) => writeFile(file, `${offset}\n`)
      await set('+0')
      await host.daemon.term()
      await host.startDaemon({
        env: {
          LD_PRELOAD: library(),
          FAKETIME_TIMESTAMP_FILE: file,
          FAKETIME_NO_CACHE: '1',
          // The kernel's monotonic clock stays what it is whatever date says.
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        },
      })
      for (const offset of ['+1d', '-1d']) {
        await set(offset)
        // Long enough for look-ups, for looks at the rules, and for what is retained to run out.
        await host.wait(20_000 * host.scale)
        await host.lab.host(['iptables', '-F', 'EMBARGOD'], { okExitCodes: [1] })
        await host.whole()
      }
      await host.daemon.term()
      await host.startDaemon()
    },
  },
]
