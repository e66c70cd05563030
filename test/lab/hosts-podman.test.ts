import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ALLOWS, holds, isOpen, isWhole, named, statusOf } from './host-kinds.ts'
import { hasPodman, Podman } from './podman.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'

/** Podman beside the engine: its containers go where they went, and its rules open nothing for the engine's. */
describe.skipIf(!hasPodman)('beside Podman', () => {
  const lab = useLab({ name: 'podman' })
  const FORBIDDEN = '203.0.113.66'
  /** Forbidden too, and counted apart. */
  const ELSEWHERE = '203.0.113.68'
  let podman: Podman

  beforeAll(async () => {
    podman = await Podman.install(lab())
    await lab().network('shop', { ipv6: true })
  })

  async function running(name: string): Promise<void> {
    await podman.start(name)
    onTestFinished(() => podman.remove(name))
  }

  const itsRules = async (): Promise<readonly string[]> =>
    (await lab().host(['iptables-save'])).stdout.split('\n').filter((line) => /NETAVARK/.test(line))

  test('what runs is never closed, its rules stay, and the containers of the engine are guarded', async () => {
    await running('pod')
    const rules = await itsRules()
    expect(rules.length).toBeGreaterThan(5)
    const from = await inside(lab(), { network: 'shop' })
    await isOpen(lab(), from)
    let [tries, failures] = [0, 0]
    const over = new AbortController()
    onTestFinished(() => over.abort())
    const visits = (async () => {
      while (!over.signal.aborted) {
        tries += 1
        if (!(await podman.reaches('pod', ELSEWHERE, 5))) failures += 1
      }
    })()
    const daemon = await guard(lab(), { config: ALLOWS })
    await holds(lab(), from)
    over.abort()
    await visits
    expect(tries).toBeGreaterThan(2)
    expect(failures).toBe(0)
    expect(await itsRules()).toEqual(rules)
    const { networks } = await statusOf(lab())
    expect(networks.find(({ bridge }) => bridge === 'podman0')).toMatchObject({
      guarded: false,
      why: 'not a Docker bridge',
    })
    await isWhole(lab())
    expect(await named(lab(), daemon)).toEqual([])
  })

  test('what Podman accepts by its source is not accepted from a container of the engine that forges it', async () => {
    await running('pod')
    const from = await inside(lab(), { network: 'shop' })
    // Podman lets these addresses pass ahead of DOCKER-USER, whatever interface they come by.
    const forged = async (): Promise<number> => {
      await lab().farEnd.reset()
      const argv = `sender flood --proto=udp --src=10.88.0.77 --dst=${FORBIDDEN} --port=9999 --rate=500 --seconds=1`
      expect((await from.exec(argv.split(' '))).code).toBe(0)
      return lab().farEnd.count(FORBIDDEN)
    }
    await lab().cli(['cleanup', '--yes'])
    expect(await forged()).toBeGreaterThan(400)
    await guard(lab(), { config: ALLOWS })
    expect(await forged()).toBe(0)
  })

  test('a first container under guard gets out within seconds; at once where its bridge is ignored', async () => {
    const daemon = await guard(lab(), { config: ALLOWS })
    await podman.start('late')
    await lab().waitFor('it is let through', () => podman.reaches('late', FORBIDDEN), 20_000)
    await podman.remove('late')
    await daemon.hup(`${ALLOWS}\nguard: { ignoreInterfaces: ['podman*'] }`)
    await lab().waitFor('the reload is done', () => /"msg":"reloaded"/.test(daemon.logs))
    await running('soon')
    expect(await podman.reaches('soon', FORBIDDEN, 10)).toBe(true)
    expect((await statusOf(lab())).networks.find(({ bridge }) => bridge === 'podman0')?.why).toBe(
      'ignored interface',
    )
  })
})
