import type { Disturbance } from './disturbance.ts'

const ENDS_CONTAINERS = 'the engine ends the containers and starts them again'

/** What happens to the engine. */
export const ENGINE: readonly Disturbance[] = [
  {
    name: 'engine-restart',
    words: 'engine restarted',
    cuts: ENDS_CONTAINERS,
    run: async ({ lab }) => lab.restartEngine(),
  },
  {
    name: 'engine-kill',
    words: 'engine killed and started',
    cuts: ENDS_CONTAINERS,
    run: async (host) => {
      await host.lab.killEngine()
      await host.wait(500)
      await host.lab.engine.start()
    },
  },
  {
    name: 'engine-live-restore',
    words: 'engine with live-restore restarted, then killed and started',
    // To and from live-restore the engine restarts as it is; between these its containers live on.
    cuts: ENDS_CONTAINERS,
    run: async (host) => {
      const flags = ['--live-restore']
      await host.lab.restartEngine(flags)
      await host.lab.restartEngine(flags)
      await host.whole()
      await host.lab.killEngine()
      await host.wait(500)
      await host.lab.engine.start(flags)
      await host.whole()
      await host.lab.restartEngine()
    },
  },
]
