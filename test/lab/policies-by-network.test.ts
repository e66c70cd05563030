import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { origin, reached } from './reach.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'

/** A host whose kernel or tool knows no nft bridge family: containers cannot be held to their ports, and their networks decide. */
const lab = useLab({ name: 'policies-by-network' })

const COMMON = '203.0.113.10'
const WEB = '203.0.113.21'
const ORIGINS = [COMMON, WEB, INET.metadata].map((address) => origin(address))
const CONFIG = `
denyWith: reject
allow: [{ cidr: ${COMMON}, ports: [80/tcp] }]
policies:
  web: { match: { network: web }, allow: [{ cidr: ${WEB}, ports: [80/tcp] }] }
  role: { match: { network: role }, metadata: allow }
  alone: { match: { network: alone }, inherit: false }
  gold: { match: { container: gold }, allow: [{ cidr: ${WEB}, ports: [80/tcp] }] }
`
const WRAPPER = (real: string): string => `#!/bin/sh
refuse() { echo 'Error: Could not process rule: Operation not supported' >&2; exit 1; }
case "$1" in
  -i | monitor) exec ${real} "$@" ;;
esac
case "$*" in
  *' bridge '*) refuse ;;
  -f*) input=$(cat)
    case "$input" in *'table bridge'*) refuse ;; esac
    printf '%s\\n' "$input" | ${real} "$@"
    exit $? ;;
esac
exec ${real} "$@"
`

let path: string
let daemon: Daemon
const containers = new Map<string, LabContainer>()

const start = async (withBridgeFamily: boolean): Promise<Daemon> =>
  // It is never wholly well without.
  lab().daemon({ config: CONFIG, ...(withBridgeFamily ? {} : { env: { PATH: path }, wait: false }) })

async function reachesSoon(name: string, wanted: readonly string[]): Promise<void> {
  const from = containers.get(name)
  if (!from) throw new Error(`no container ${name}`)
  const expected = wanted.map((address) => origin(address)).join()
  let last = ''
  await lab()
    .waitFor(`${name} reaches ${expected || 'nothing'}`, async () => {
      last = (await reached(from, ORIGINS, { seconds: 2 })).join()
      return last === expected
    })
    .catch((error: unknown) => {
      throw new Error(`it reaches ${last || 'nothing'}`, { cause: error })
    })
}

beforeAll(async () => {
  const directory = join(lab().directory, 'no-bridge-family')
  await mkdir(directory)
  const real = (await lab().host(['sh', '-c', 'command -v nft'])).stdout.trim()
  await writeFile(join(directory, 'nft'), WRAPPER(real))
  await chmod(join(directory, 'nft'), 0o755)
  path = `${directory}:${process.env['PATH']}`
  for (const network of ['web', 'role', 'alone', 'mixed']) await lab().network(network)
  const places = { web: 'web', role: 'role', alone: 'alone', plain: 'mixed', gold: 'mixed' }
  for (const [name, network] of Object.entries(places))
    containers.set(name, await lab().container({ name, network }))
  daemon = await start(false)
})

test('each network has what all its containers have, a mixed one what unknown sources have', async () => {
  await reachesSoon('web', [COMMON, WEB])
  await reachesSoon('role', [COMMON, INET.metadata])
  await reachesSoon('alone', [])
  // A policy that inherits nothing forces unknown sources to nothing.
  await reachesSoon('plain', [])
  await reachesSoon('gold', [])
})

test('status and explain say so', async () => {
  const { stdout } = await lab().cli(['status'])
  expect(stdout).toMatch(/^web +web +common web +web: network web +by its network alone$/m)
  expect(stdout).toMatch(/^gold +mixed +common gold +gold: container gold +NO: as unknown$/m)
  expect(stdout).toMatch(/containers are told apart by their networks alone: .*not supported/)
  const explained = await lab().cli(['explain', 'web', `${WEB}:80`])
  expect([explained.code, explained.stdout]).toEqual([0, expect.stringMatching(/allow web: 80\/tcp/)])
})

test('with the bridge family each has its own', async () => {
  await daemon.term()
  daemon = await start(true)
  await reachesSoon('gold', [COMMON, WEB])
  await reachesSoon('plain', [COMMON])
  await reachesSoon('web', [COMMON, WEB])
  expect((await lab().cli(['status'])).stdout).toMatch(/^web +web +common web +web: network web +yes$/m)
})
