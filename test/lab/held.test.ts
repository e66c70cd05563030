import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Daemon } from './embargod.ts'
import { leaksDuring, steadyFlood } from './leaks.ts'
import { rulesOf } from './rules.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** The backstop's twin, which belongs to the running daemon: what it holds, and that it never outlives its owner. */
const lab = useLab({ name: 'held' })

const configWith = (...more: string[]): string =>
  `allow: [${['{ cidr: 203.0.113.12, ports: [80/tcp, icmp] }', ...more].join(', ')}]`
const CONFIG = configWith()
const TABLES = { plain: 'embargod-guard', held: 'embargod-held' } as const

beforeAll(async () => {
  await lab().network('six', { ipv6: true })
})

async function tableText(name: keyof typeof TABLES): Promise<string> {
  const { stdout } = await lab().host(['nft', 'list', 'table', 'inet', TABLES[name]], { okExitCodes: [1] })
  return stdout
}

const stands = async (name: keyof typeof TABLES): Promise<boolean> =>
  (await tableText(name)).includes('not approved')

const heldStands = () => lab().waitFor('the held table stands', () => stands('held'), 30_000)

/** The rules of a table by their fingerprints. */
const fingerprints = async (name: keyof typeof TABLES): Promise<readonly string[]> =>
  [...(await tableText(name)).matchAll(/\[([0-9a-f]{8})\]"/g)].map(([, found = '']) => found)

const jumpIsFirst = async (): Promise<boolean> => {
  const chains = await Promise.all(
    (['DOCKER-USER', 'FORWARD'] as const).map((chain) => rulesOf(lab(), 4, chain)),
  )
  return chains.some(([first = '']) => first.endsWith('-j EMBARGOD'))
}

/** The pid, as the lab's host counts, of the owner of the held table. */
async function ownerPid(): Promise<string> {
  const { stdout } = await lab().host(['pgrep', '-x', '-f', 'nft -i'], { okExitCodes: [1] })
  return stdout.trim()
}

/** What the engine put there, with its NAT, as a restart of it would. */
async function engineRules(): Promise<() => Promise<void>> {
  const saves: [tool: 'iptables' | 'ip6tables', text: string][] = []
  for (const tool of ['iptables', 'ip6tables'] as const) {
    const { stdout } = await lab().host([`${tool}-save`])
    saves.push([
      tool,
      stdout
        .split('\n')
        .filter((line) => !line.includes('EMBARGOD'))
        .join('\n'),
    ])
  }
  return async () => {
    for (const [tool, input] of saves) await lab().host([`${tool}-restore`, '--noflush'], { input })
  }
}

const flushes = async (times: number, after: () => Promise<unknown>): Promise<void> => {
  const restore = await engineRules()
  for (let time = 0; time < times; time += 1) {
    await lab().host(['nft', 'flush', 'ruleset'])
    await after()
    await restore()
    await sleep(250)
  }
}

describe('nft flush ruleset', () => {
  test('under a flood lets nothing out, ten times over, and all is whole again by itself', async () => {
    const from = await inside(lab())
    await guard(lab(), { config: CONFIG })
    await heldStands()
    const tookMs: number[] = []
    const flood = await steadyFlood(lab(), from)
    await flushes(10, async () => {
      const fromMs = performance.now()
      expect(await stands('held')).toBe(true)
      await lab().waitFor('all stands', async () => (await stands('plain')) && (await jumpIsFirst()), 30_000)
      tookMs.push(performance.now() - fromMs)
    })
    const leaked = await flood.stop()
    console.log(`leaked ${leaked}; whole after ${tookMs.map(Math.round).join(' ')} ms`)
    expect(leaked).toBe(0)
  })

  test('without a guard lets the same flood out', async () => {
    const from = await inside(lab())
    expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
    const leaked = await leaksDuring(lab(), from, () => flushes(1, () => sleep(200)), { seconds: 2 })
    expect(leaked).toBeGreaterThan(1000)
  })

  test('is told: the rules of the engine are gone until it starts again', async () => {
    await guard(lab(), { config: CONFIG })
    await heldStands()
    await lab().host(['nft', 'flush', 'ruleset'])
    const status = () => lab().cli(['status'])
    await lab().waitFor(
      'status says it',
      async () => {
        const { code, stdout } = await status()
        return code === 4 && /rules of the Docker engine are gone.*restart/i.test(stdout)
      },
      45_000,
    )
    await lab().restartEngine()
    await lab().waitFor('it has healed', async () => (await status()).code === 0, 60_000)
  })
})

describe('the held table', () => {
  const gone = (name: keyof typeof TABLES) => async () => (await tableText(name)) === ''

  test.each([
    ['killed', (daemon: Daemon) => daemon.kill()],
    ['told to stop', (daemon: Daemon) => daemon.term()],
  ])('ends with a daemon that is %s, and the plain one stays', async (_, end) => {
    const daemon = await guard(lab(), { config: CONFIG })
    await heldStands()
    expect(await ownerPid()).toMatch(/^\d+$/)
    expect((await lab().cli(['rules'])).stdout).toContain('held by the daemon')
    await end(daemon)
    await lab().waitFor('the held table is gone', gone('held'), 2000)
    expect(await ownerPid()).toBe('')
    expect(await stands('plain')).toBe(true)
    expect((await lab().cli(['rules'])).stdout).toContain('not held')
  })

  test('is back when its owner was killed, and lets nothing out meanwhile', async () => {
    const from = await inside(lab())
    await guard(lab(), { config: CONFIG })
    await heldStands()
    const owner = await ownerPid()
    const leaked = await leaksDuring(
      lab(),
      from,
      async () => {
        await lab().host(['kill', '-9', owner])
        await lab().waitFor('another owner holds it', async () => {
          const now = await ownerPid()
          return now !== '' && now !== owner && (await stands('held'))
        })
      },
      { seconds: 3 },
    )
    expect(leaked).toBe(0)
  })

  test('takes the place of a stranger of its name', async () => {
    const strangers = 'table inet embargod-held { chain c { type filter hook forward priority 5; drop; }; }'
    await lab().host(['nft', strangers])
    await guard(lab(), { config: CONFIG })
    await heldStands()
    expect(await tableText('held')).not.toContain('priority 5')
  })

  test('changes with the plain one: a flow that stays allowed loses nothing while rights change', async () => {
    const from = await inside(lab())
    await guard(lab(), { config: CONFIG })
    await heldStands()
    const before = Number(/admitted in generation (\d+)/.exec(await tableText('held'))?.[1])
    // One connection, and each packet after the first passes by its generation alone: the next goes out when the last was answered.
    const ping = from.exec(['sh', '-c', 'echo $$ >/tmp/ping; exec ping -A -q -w 100 203.0.113.12'], {
      timeoutMs: 110_000,
    })
    for (let change = 1; change <= 5; change += 1) {
      await sleep(300)
      await lab().embargod.writeConfig(configWith(`203.0.113.${100 + change}`))
      expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
    }
    expect((await from.exec(['sh', '-c', 'kill -INT $(cat /tmp/ping)'])).code).toBe(0)
    const [, sent = 0, received = 0] =
      /(\d+) packets transmitted, (\d+) packets received/.exec((await ping).stdout)?.map(Number) ?? []
    expect(sent).toBeGreaterThan(1000)
    // One may be under way when it ends; a stall costs one for each change.
    expect(sent - received).toBeLessThanOrEqual(1)
    expect(await tableText('held')).toContain(`admitted in generation ${before + 5} `)
    expect(await fingerprints('held')).toEqual(await fingerprints('plain'))
    expect(await fingerprints('held')).toHaveLength(9)
  })
})

describe('where it cannot be had', () => {
  const WRAPPERS: readonly [what: string, interactive: string][] = [
    ['nft has no dialogue', 'echo "Error: interactive CLI not supported in this build" >&2; exit 1'],
    ['the kernel knows no owners', 'exec sed -un "s/^describe.*/payload expression/p"'],
    ['nft never answers', 'exec sleep 1000'],
  ]

  test.each(WRAPPERS)('since %s, it is said once and the plain one stands alone', async (what, script) => {
    const directory = join(lab().directory, `nft-${what.replaceAll(' ', '-')}`)
    await mkdir(directory)
    const real = (await lab().host(['sh', '-c', 'command -v nft'])).stdout.trim()
    await writeFile(join(directory, 'nft'), `#!/bin/sh\n[ "$1" = -i ] || exec ${real} "$@"\n${script}\n`)
    await chmod(join(directory, 'nft'), 0o755)
    const daemon = await guard(lab(), {
      config: CONFIG,
      env: { PATH: `${directory}:${process.env['PATH']}` },
    })
    const from = await inside(lab())
    const told = () => daemon.logs.match(/the backstop cannot be held/g)?.length ?? 0
    await lab().waitFor('it is said', () => told() === 1)
    await lab().host(['nft', 'delete', 'table', 'inet', TABLES.plain])
    await lab().waitFor('the plain one is back', () => stands('plain'))
    await sleep(3000)
    expect(told()).toBe(1)
    expect(await stands('held')).toBe(false)
    expect(await fetchPage(from, 'http://203.0.113.12/')).toMatchObject({ code: 0 })
    expect((await lab().cli(['status'])).code).toBe(0)
  })
})
