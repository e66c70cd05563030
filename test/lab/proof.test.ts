import { readFileSync } from 'node:fs'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Daemon } from './embargod.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'

/** The daemon proves by itself, every period, that both guards hold; it says so when one does not and cannot be put back. */
const lab = useLab({ name: 'proof' })

const PERIOD_MS = 5_000
/** A proof that fails is made three times before it counts; the machine may be slow. */
const WITHIN_MS = PERIOD_MS + 40_000
const CONFIG = `verify: { every: ${PERIOD_MS / 1000}s }
resolver: { servers: [198.51.100.1], refresh: { min: 5m, max: 5m } }
allow: [allowed.example]
`
const KINDS = ['bridge', 'shop', 'named']

let tools: string
let daemon: Daemon

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('named', { bridge: 'my-bridge', ipv6: true })
  tools = await failingTools()
})

afterEach(async () => {
  for (const what of ['iptables', 'guard', 'nft']) await obey(what)
})

/** Tools that do as they are told until `refuse-iptables`, `refuse-guard` or `refuse-nft` lies beside them. */
async function failingTools(): Promise<string> {
  const directory = join(lab().directory, 'proof-tools')
  await mkdir(directory)
  const real = async (tool: string) => (await lab().host(['sh', '-c', `command -v ${tool}`])).stdout.trim()
  const say = '{ echo "as the test wished" >&2; exit 1; }'
  for (const tool of ['iptables', 'iptables-nft-restore', 'ip6tables-nft-restore'])
    await script(
      join(directory, tool),
      `[ ! -e ${directory}/refuse-iptables ] || ${say}\nexec ${await real(tool)} "$@"`,
    )
  const nft = await real('nft')
  await script(
    join(directory, 'nft'),
    `[ ! -e ${directory}/refuse-nft ] || ${say}
if [ -e ${directory}/refuse-guard ]; then
  case "$*" in
    -i) ${say} ;;
    '-f -') text=$(cat); case "$text" in *embargod-guard*) ${say} ;; esac; printf '%s\\n' "$text" | exec ${nft} -f - ;;
  esac
fi
exec ${nft} "$@"`,
  )
  return directory
}

async function script(file: string, text: string): Promise<void> {
  await writeFile(file, `#!/bin/sh\n${text}\n`)
  await chmod(file, 0o755)
}

const refuse = (what: string) => writeFile(join(tools, `refuse-${what}`), '')
const obey = (what: string) => rm(join(tools, `refuse-${what}`), { force: true })

const proofs = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await scrape(lab())).samples
      .filter(({ name }) => name === 'embargod_proof_success')
      .map(({ labels, value }) => [labels['network'] ?? '', value]),
  )
const all = async (value: 0 | 1): Promise<boolean> => {
  const found = await proofs()
  return KINDS.every((network) => found[network] === value)
}
const lastVerified = async (): Promise<number> =>
  (await scrape(lab())).value('last_verified_timestamp_seconds') ?? 0
const saidNotProven = (): string[] =>
  daemon.logs.split('\n').filter((line) => line.includes('"concern":"proof"') && line.includes('degraded'))
const status = async () => lab().cli(['status'])

/** Resolves to what the log says of it. */
async function turnsRed(): Promise<string> {
  const before = saidNotProven().length
  await lab().waitFor('the proof is red on every kind of network', () => all(0), WITHIN_MS)
  const { code, stdout } = await status()
  expect(code).toBe(4)
  expect(stdout).toContain('not proven')
  expect(saidNotProven().length - before).toBe(1)
  return saidNotProven().at(-1) ?? ''
}

async function turnsGreen(): Promise<void> {
  const since = await lastVerified()
  await lab().waitFor('the proof is green again', () => all(1), WITHIN_MS)
  expect(await lastVerified()).toBeGreaterThan(since)
  // What a look found amiss meanwhile is found well by the next one, which may be 15 s away.
  await lab().waitFor('healthy', async () => (await status()).code === 0, 25_000)
}

/** Ends the daemon's own `nft -i`, and with it the table that it holds. */
function endHeldSession(): void {
  const { pid } = daemon
  if (pid === undefined) throw new Error('the daemon does not run')
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  const sessions = children.filter((child) =>
    readFileSync(`/proc/${child}/cmdline`, 'utf8').endsWith('nft\0-i\0'),
  )
  expect(sessions).toHaveLength(1)
  for (const session of sessions) process.kill(Number(session), 'SIGKILL')
}

async function leftovers(): Promise<string> {
  const links = (await lab().host(['ip', '-details', 'link', 'show', 'type', 'veth'])).stdout
  const tables = (await lab().host(['nft', 'list', 'tables'])).stdout
  return [...links.split('\n'), ...tables.split('\n')].filter((line) => line.includes('verify')).join('\n')
}

describe('without any guard', () => {
  test('verify finds that nothing stops its packets, and stops them itself', async () => {
    const { code, stdout } = await lab().cli(['verify'], { timeoutMs: 60_000 })
    expect(code).toBe(7)
    for (const network of KINDS)
      expect(stdout).toMatch(
        new RegExp(
          `FAIL IPv4, network ${network}: forbidden .* 1 behind the rules, 0 approved, 1 at the uplink`,
        ),
      )
    expect(await lab().farEnd.count('192.0.2.1')).toBe(0)
    expect(await leftovers()).toBe('')
  })
})

describe('the daemon', () => {
  beforeAll(async () => {
    daemon = await lab().daemon({ config: CONFIG, env: { PATH: `${tools}:${process.env['PATH']}` } })
  })

  test('proves both guards on every kind of network, and leaves nothing', async () => {
    await lab().waitFor('proven', () => all(1), WITHIN_MS)
    expect(await lastVerified()).toBeGreaterThan(Date.now() / 1000 - 60)
    await sleep(1_000)
    expect(await leftovers()).toBe('')
    expect((await status()).stdout).toMatch(/verified:\s+passed/)
  })

  test('makes no pass, finds no drift, and sends nothing out, for its own ports and rules', async () => {
    const before = await scrape(lab())
    const since = await lastVerified()
    const sentTo = async () =>
      (await Promise.all(['192.0.2.1', '203.0.113.10'].map((to) => lab().farEnd.count(to)))).join()
    const sent = await sentTo()
    await lab().waitFor('another proof', async () => (await lastVerified()) > since, WITHIN_MS)
    await sleep(2_000)
    const after = await scrape(lab())
    const grown = (name: string, labels = {}) =>
      (after.value(name, labels) ?? 0) - (before.value(name, labels) ?? 0)
    expect(grown('reconcile_total', { trigger: 'link' })).toBe(0)
    expect(grown('reconcile_total', { trigger: 'drift' })).toBe(0)
    expect(grown('drift_repairs_total')).toBe(0)
    expect(await sentTo()).toBe(sent)
  })

  test('is red within a period when the rules are gone and iptables fails, and green again', async () => {
    await refuse('iptables')
    for (const tool of ['iptables', 'ip6tables'])
      for (const chain of ['DOCKER-USER', 'FORWARD']) {
        const { stdout } = await lab().host([tool, '-S', chain], { okExitCodes: [1] })
        const jump = stdout.split('\n').find((line) => line.endsWith('-j EMBARGOD'))
        if (jump) await lab().host([tool, '-D', chain, '1'])
      }
    expect(await turnsRed()).toContain('the rules let a forbidden packet pass')
    // Proofs go on failing: it is not said again, and none passes.
    const [said, since] = [saidNotProven().length, await lastVerified()]
    await sleep(3 * PERIOD_MS)
    expect(saidNotProven().length).toBe(said)
    expect(await lastVerified()).toBe(since)
    expect(await all(0)).toBe(true)
    await obey('iptables')
    await turnsGreen()
  })

  test('is red within a period when the backstop is gone and nft refuses it, and green again', async () => {
    await refuse('guard')
    endHeldSession()
    await lab().host(['nft', 'delete', 'table', 'inet', 'embargod-guard'])
    expect(await turnsRed()).toMatch(/the backstop let a packet pass that nobody approved/)
    await obey('guard')
    await turnsGreen()
  })

  test('is red within a period when it cannot make the proof, and green again', async () => {
    await refuse('nft')
    expect(await turnsRed()).toContain('the proof could not be made')
    await obey('nft')
    await turnsGreen()
  })

  test('takes turns among networks of a kind, and forgets those that are gone', async () => {
    await lab().network('second')
    await lab().network('third')
    const names = ['shop', 'second', 'third']
    await lab().waitFor(
      'each was tried',
      async () => {
        const found = await proofs()
        return names.every((name) => found[name] === 1)
      },
      3 * PERIOD_MS + 40_000,
    )
    await lab().docker.getNetwork('second').remove()
    await lab().waitFor('its series is gone', async () => !('second' in (await proofs())), 20_000)
    expect((await status()).code).toBe(0)
  })

  test('networks that come and go while it proves make it no worse', async () => {
    const said = saidNotProven().length
    const since = await lastVerified()
    const end = Date.now() + 2 * PERIOD_MS + 5_000
    for (let count = 0; Date.now() < end; count += 1) {
      const network = await lab().network(`brief${count}`, { bridge: `brief${count}` })
      await sleep(300)
      await network.remove()
    }
    await lab().waitFor('a proof passed meanwhile', async () => (await lastVerified()) > since, WITHIN_MS)
    expect(saidNotProven().slice(said)).toEqual([])
  })

  test('killed in the middle of a proof, it leaves nothing that the next proof or cleanup does not take away', async () => {
    await lab().waitFor('a proof is under way', async () => (await leftovers()) !== '', WITHIN_MS)
    await daemon.kill()
    const left = await leftovers()
    const { code, stdout } = await lab().cli(['cleanup', '--yes'], { timeoutMs: 60_000 })
    expect(code, stdout).toBe(0)
    if (left !== '') expect(stdout).toContain('what a proof')
    expect(await leftovers()).toBe('')
  })
})
