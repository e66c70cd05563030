import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../src/system/exec.ts'
import { debianMirror } from './debian-mirror.ts'
import { CACHE } from './engines.ts'

/** What a Debian host with embargod has, and nothing that would take time to start. */
const PACKAGES = 'systemd,systemd-sysv,dbus,iproute2,iptables,ipset,nftables,conntrack,procps,kmod,docker.io'

/** Engine units of Debian, and who wants them. */
export const ENGINE_UNITS = {
  'docker.socket': 'sockets.target',
  'docker.service': 'multi-user.target',
  'containerd.service': 'multi-user.target',
} as const

/**
 * A tree of the machine's own Debian, so that the machine's Node runs in it. Made once. The engine is installed in it and
 * not enabled.
 */
export async function hostTree(): Promise<string> {
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm'
  const hash = createHash('sha256').update(PACKAGES).digest('hex').slice(0, 8)
  const tree = join(CACHE, `systemd-host-${suite}-${hash}`)
  if (existsSync(tree)) return tree
  await mkdir(CACHE, { recursive: true })
  const making = `${tree}.${process.pid}`
  try {
    await run(
      ['debootstrap', '--variant=minbase', `--include=${PACKAGES}`, suite, making, await debianMirror()],
      { timeoutMs: 900_000 },
    )
    await run(['sh', '-c', 'rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*', 'sh', making])
    for (const [unit, target] of Object.entries(ENGINE_UNITS))
      await rm(join(making, `etc/systemd/system/${target}.wants`, unit), { force: true })
    // Another test file may have been first.
    if (!existsSync(tree)) await rename(making, tree)
  } finally {
    await rm(making, { recursive: true, force: true })
  }
  return tree
}
