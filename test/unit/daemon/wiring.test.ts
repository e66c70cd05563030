import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ReloadAnswer } from '../../../src/control/protocol.ts'
import type { StatusReport } from '../../../src/control/status.ts'
import { DaemonScene } from '../../support/daemon-scene.ts'
import { defaultBridgeJson, networkJson } from '../../support/docker-json.ts'

let scene: DaemonScene
beforeEach(async () => {
  scene = await DaemonScene.create()
  scene.engine.networks.set('bridge', defaultBridgeJson())
  scene.names['api.example.com'] = ['203.0.113.10']
  scene.names['new.example.com'] = ['203.0.113.20']
})
afterEach(() => scene.end())

const enforce = async (): Promise<Awaited<ReturnType<DaemonScene['start']>>> => {
  const daemon = await scene.start()
  await daemon.enforced
  return daemon
}
const allowed = (): string[] =>
  [...scene.kernel.sets.all]
    .filter(([name]) => name.startsWith('embargod-common-') && name.endsWith('-4'))
    .flatMap(([, set]) => [...set.elements.keys()])
    .toSorted()
const rules = (): string => scene.kernel.rules[4].save()
const isHooked = (): boolean => /^\[.*\] -A FORWARD .* -j EMBARGOD$/m.test(rules())
const until = (check: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 5 })

describe('a start', () => {
  test('holds the policy before it says READY, and leaves it when it stops', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    await enforce()
    expect(scene.told).toContain('ready')
    expect(isHooked()).toBe(true)
    await until(() => expect(allowed()).toEqual(['203.0.113.10']))
    expect(await scene.ask<StatusReport>('status')).toMatchObject({ docker: { connected: true } })
    await scene.stop()
    expect(scene.told.filter((what) => what !== 'status')).toEqual(['ready', 'stopping'])
    expect(await scene.ask('status')).toBeUndefined()
    expect(isHooked()).toBe(true)
    expect(allowed()).toEqual(['203.0.113.10'])
  })

  test('says nothing until a pass went well, and tries again', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    scene.kernel.failNext(/iptables-nft-restore/)
    const daemon = await scene.start()
    expect(scene.told).not.toContain('ready')
    await daemon.enforced
    expect(scene.told).toContain('ready')
    expect(scene.log.map(({ msg }) => msg)).toContain('pass failed')
  })

  test('without a config that can be used rejects, and serves nobody', async () => {
    await scene.writeConfig('alow: [api.example.com]')
    await expect(scene.start()).rejects.toMatchObject({ name: 'NoConfigError' })
    expect(await scene.ask('status')).toBeUndefined()
    expect(rules()).not.toContain('EMBARGOD')
  })

  test('that is stopped in its midst ends', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    scene.engine.faults.set('/networks', 'hang')
    const starting = scene.start()
    await until(() => expect(scene.engine.requests).toContain('/networks'))
    await scene.stop()
    scene.engine.release()
    await (
      await starting
    ).enforced
    expect(scene.told).toEqual(['stopping'])
  })
})

describe('a running daemon', () => {
  test('guards a network that the engine tells of', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    await enforce()
    scene.addBridge('br-b0c1d2e3f4a5')
    scene.engine.addNetwork(networkJson())
    await until(async () => {
      const status = await scene.ask<StatusReport>('status')
      expect(status?.networks).toContainEqual(
        expect.objectContaining({ name: 'shop_default', bridge: 'br-b0c1d2e3f4a5', guarded: true }),
      )
    })
  })

  test('reloads by a signal, and keeps what it has when the file is bad', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    const daemon = await enforce()
    await scene.writeConfig('allow: [new.example.com]')
    expect(await daemon.reloadBySignal()).toMatchObject({ outcome: 'applied' })
    expect(allowed()).toEqual(['203.0.113.20'])
    await scene.writeConfig('alow: []')
    expect(await daemon.reloadBySignal()).toMatchObject({ outcome: 'refused' })
    expect(allowed()).toEqual(['203.0.113.20'])
    expect(scene.told.filter((what) => what !== 'status')).toEqual([
      'ready',
      'reloading',
      'ready',
      'reloading',
      'ready',
    ])
  })

  test('a reload that the kernel refuses fails, and the next pass brings it', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    await enforce()
    await scene.writeConfig('allow: [new.example.com]')
    scene.kernel.meanwhile = async (command) => {
      if (command.startsWith('iptables-nft-restore')) throw new Error('the kernel is full')
    }
    const answer = await scene.ask<ReloadAnswer>('reload')
    expect(answer).toMatchObject({ outcome: 'failed' })
    expect(answer?.detail).toContain('the kernel is full')
    scene.kernel.meanwhile = undefined
    await until(() => expect(allowed()).toEqual(['203.0.113.20']))
  })

  test('takes a temporary entry in and out', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    await enforce()
    await scene.ask('allow', { action: 'add', entry: 'new.example.com', forMs: 60_000 })
    expect(allowed()).toEqual(['203.0.113.10', '203.0.113.20'])
    await scene.ask('allow', { action: 'revoke', entry: 'new.example.com' })
    expect(allowed()).toEqual(['203.0.113.10'])
  })

  test('takes back a config that nobody confirms', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    await enforce()
    await scene.writeConfig('allow: [new.example.com]')
    expect(await scene.ask<ReloadAnswer>('reload', { confirmMs: 1_000 })).toMatchObject({
      outcome: 'applied',
    })
    await until(() => expect(allowed()).toEqual(['203.0.113.10']))
  })

  test('goes on when the engine goes and comes back', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    await enforce()
    await scene.engine.disappear()
    await until(async () =>
      expect(await scene.ask<StatusReport>('status')).toMatchObject({ docker: { connected: false } }),
    )
    expect(isHooked()).toBe(true)
    await scene.engine.appear()
    await until(async () =>
      expect(await scene.ask<StatusReport>('status')).toMatchObject({ docker: { connected: true } }),
    )
  })

  test('tells each pass in the debug log', async () => {
    await scene.writeConfig('allow: [api.example.com]')
    await enforce()
    const passes = scene.log.filter(({ msg }) => msg === 'pass')
    expect(passes[0]).toMatchObject({
      triggers: expect.arrayContaining(['start']),
      scope: { parts: [4, 6, 'backstop', 'bindings', 'host-network'], headers: false, read: 0 },
      steps: { refresh: expect.any(Number), reconcile: expect.any(Number), persist: expect.any(Number) },
      outcome: 'changed',
    })
  })
})
