import { basename, join } from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { asVersion, buildPackage, PackageHost, type Traffic } from './package-host.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/**
 * The Debian package on a host with Debian's engine, whose containers flood from their first instruction: what it does when
 * it comes, changes and goes, and what leaves the host while it boots. EMBARGOD_LAB_BOOTS sets the number of boots.
 */
const lab = useLab({ name: 'package', startEngine: false })

const asked = process.env['EMBARGOD_LAB_BOOTS']
const BOOTS = Number(asked ?? 1)
const CONFIG = 'allow: [allowed.example]\nresolver: { servers: [198.51.100.1] }\n'
const FILE = '/etc/embargod/embargod.yaml'
const LATER = '9.0.0'

let host: PackageHost
let deb: string
/** What lintian says; it takes its time beside the other tests. */
let lintian: Promise<string>

beforeAll(async () => {
  host = new PackageHost(lab())
  ;[deb] = await Promise.all([buildPackage(lab().directory), host.start()])
  lintian = askLintian(deb)
}, 900_000)

vi.setConfig({ testTimeout: 300_000 })

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await host.systemd.status('embargod.service'))
})

const shell = (script: string): Promise<string> => host.shell(script)
const fetches = async (url: string): Promise<boolean> => (await fetchPage(host.shop, url)).code === 0
const reaches = (url: string): Promise<void> => lab().waitFor(url, () => fetches(url), 30_000)
const mainPid = (unit = 'embargod.service'): Promise<string> => host.systemd.show(unit, 'MainPID')
const up = (): Promise<void> => lab().waitFor('it is up', host.isUp, 60_000)
const installedLater = async (version: string): Promise<string> => {
  await asVersion(deb, version, join(lab().directory, `${version}.deb`))
  return host.install(`${version}.deb`)
}

/** Figures are for those who asked for them. */
function note(what: string, { sent, leaked }: Traffic): void {
  if (asked !== undefined) console.log(`${what}: ${sent} sent, ${leaked} leaked`)
}

function expectClosed({ sent, leaked }: Traffic): void {
  expect(sent).toBeGreaterThan(500)
  expect(leaked).toBe(0)
}

test('without the package each boot leaks', async () => {
  const traffic = await host.reboot()
  note('boot without the package', traffic)
  expect(traffic.leaked).toBeGreaterThan(500)
})

describe('installed', () => {
  test('it runs without Node, is enabled, and lets containers reach what they reached', async () => {
    const said = await host.install(basename(deb))
    expect(said).toContain('warning: 0.0.0.0/0 allows every address')
    await up()
    expect(await shell('systemctl is-enabled embargod embargod-early')).toBe('enabled\nenabled')
    expect(await shell('command -v node nodejs || true')).toBe('')
    expect(await shell("dpkg-query --show --showformat='${Conffiles}' embargod")).toContain(FILE)
    expect(await shell('dpkg --verify embargod')).toBe('')
    expect((await host.leaks()).leaked).toBeGreaterThan(500)
    await reaches('http://api.example/')
    expect(await fetches('http://169.254.169.254/')).toBe(false)
  })

  test('narrowed, containers reach what it names', async () => {
    await host.systemd.write(FILE, CONFIG)
    await shell('embargod reload')
    expectClosed(await host.leaks())
    await reaches('http://allowed.example/')
    expect(await fetches('http://api.example/')).toBe(false)
  })
})

test('its gateway takes many messages at a time, by the library beside it', async () => {
  const loaded = await shell(
    'grep -c koffi.node "/proc/$(systemctl show -P MainPID embargod.service)/maps" || true',
  )
  expect(loaded).not.toBe('0')
  await host.systemd.write(FILE, `${CONFIG}dns: { gateway: true }\n`)
  await shell('embargod reload')
  await reaches('http://allowed.example/')
  expect(await host.systemd.journal('embargod.service')).not.toContain('one message at a time')
  await host.systemd.write(FILE, CONFIG)
  await shell('embargod reload')
})

describe('boots', () => {
  test(
    'no packet leaks, and what is allowed is reached',
    async () => {
      for (let boot = 1; boot <= BOOTS; boot += 1) {
        const how = boot % 2 === 1 ? 'plug' : 'order'
        const traffic = await host.reboot(how)
        note(`boot ${boot} (${how})`, traffic)
        expectClosed(traffic)
        await up()
        await reaches('http://allowed.example/')
      }
    },
    BOOTS * 120_000,
  )

  test('with legacy iptables too', async () => {
    const flavour = (name: string) =>
      `for tool in iptables ip6tables; do update-alternatives --set $tool /usr/sbin/$tool-${name}; done`
    await shell(flavour('legacy'))
    expectClosed(await host.reboot())
    expect(await shell('iptables-legacy-save')).toMatch(/^-A DOCKER-USER .*EMBARGOD/m)
    expectClosed(await host.leaks())
    await shell(flavour('nft'))
  })

  test('when the daemon cannot start the host stays closed, and says why', async () => {
    await shell('chmod 0644 /usr/bin/embargod')
    const traffic = await host.reboot()
    note('boot without daemon', traffic)
    expectClosed(traffic)
    expect(await host.systemd.show('docker.service', 'ActiveState')).toBe('active')
    // It is tried again and again.
    await lab().waitFor('the status says why', async () =>
      (await host.systemd.status('embargod.service')).includes(
        '/embargod run (code=exited, status=203/EXEC)',
      ),
    )
    expect(await host.systemd.status('embargod-early.service')).toContain('closed: nothing leaves a bridge')
  })

  test('and without the early guard it leaks then', async () => {
    await shell('systemctl disable embargod-early.service; systemctl mask embargod-early.service')
    const traffic = await host.reboot()
    note('boot without daemon and early guard', traffic)
    expect(traffic.leaked).toBeGreaterThan(500)
    await shell('systemctl unmask embargod-early.service; systemctl enable embargod-early.service')
  })

  test('where docker requires it, docker stays down then', async () => {
    await shell(`install -D -m 0644 /usr/share/doc/embargod/examples/docker-require-embargod.conf \
      /etc/systemd/system/docker.service.d/require-embargod.conf`)
    await host.systemd.powerOff()
    await host.systemd.boot()
    expect(await host.systemd.show('docker.service', 'ActiveState')).not.toBe('active')
    await shell(`chmod 0755 /usr/bin/embargod
      systemctl reset-failed; systemctl start embargod.service; systemctl start docker.service`)
    await up()
    expectClosed(await host.leaks())
  })
})

describe('upgraded', () => {
  test('the new daemon takes over, nothing leaks, docker runs on', async () => {
    const [pid, docker] = [await mainPid(), await mainPid('docker.service')]
    expectClosed(await host.traffic(() => installedLater(LATER)))
    await up()
    expect(await mainPid()).not.toBe(pid)
    expect(await mainPid('docker.service')).toBe(docker)
    expect(await shell(`cat ${FILE}`)).toBe(CONFIG.trim())
  })

  test('with a config that it does not accept the old daemon goes on, and it is said', async () => {
    await host.systemd.write(FILE, 'alow: []\n')
    const pid = await mainPid()
    const said = await installedLater(`${LATER}+1`)
    expect(said).toMatch(/embargod\.yaml:1:1: .*alow/)
    expect(said).toContain('GOES ON RUNNING')
    expect(await mainPid()).toBe(pid)
    expectClosed(await host.leaks())
    await reaches('http://allowed.example/')
    await host.systemd.write(FILE, CONFIG)
  })
})

describe('gone', () => {
  const ours = () =>
    shell(
      '{ iptables-save; ip6tables-save; nft list ruleset; ipset list; } 2>/dev/null | grep -ic embargo || true',
    )

  test('removed, it leaves nothing in the kernel, and keeps what is of the operator', async () => {
    expect(Number(await ours())).toBeGreaterThan(10)
    const said = await shell('dpkg --remove embargod')
    expect(said).toContain('Docker does not start again')
    await shell('rm -r /etc/systemd/system/docker.service.d; systemctl daemon-reload')
    expect(await ours()).toBe('0')
    expect((await host.leaks()).leaked).toBeGreaterThan(500)
    expect(await shell(`cat ${FILE}`)).toBe(CONFIG.trim())
    expect(await shell('ls /var/lib/embargod')).not.toBe('')
  })

  test('installed again, it is as it was', async () => {
    await host.install(basename(deb))
    await up()
    expectClosed(await host.leaks())
  })

  test('purged, nothing is left', async () => {
    await shell('dpkg --purge embargod')
    expect(await ours()).toBe('0')
    expect(await shell('find / -xdev -iname "*embargo*"')).toBe('')
    expect((await host.leaks()).leaked).toBeGreaterThan(500)
  })
})

test('lintian finds nothing serious', async () => {
  expect(await lintian).toBe('')
})

/** Never rejects: what went wrong is an answer too. */
async function askLintian(file: string): Promise<string> {
  // Packing takes a minute: this one is not packed.
  const tags = 'uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball'
  const argv = ['--suppress-tags', tags, '--fail-on', 'none', file]
  const { all } = await execa('lintian', argv, {
    all: true,
    reject: false,
    env: { LC_ALL: 'C' },
  })
  return all.replace(/^running with root privileges is not recommended!$/m, '').trim()
}
